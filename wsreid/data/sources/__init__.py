"""Readers of data sets, one file each."""

from wsreid.data.sources.base import Source
from wsreid.data.sources.by_name import SOURCES
from wsreid.data.sources.caviar4reid import CAVIAR4REID
from wsreid.data.sources.cuhk01 import CUHK01
from wsreid.data.sources.cuhk03 import CUHK03
from wsreid.data.sources.dukemtmc_reid import DukeMTMCreID
from wsreid.data.sources.folder import Folder
from wsreid.data.sources.market1501 import Market1501
from wsreid.data.sources.msmt17 import MSMT17
from wsreid.data.sources.pku import PKUReID
from wsreid.data.sources.prid2011 import PRID2011
from wsreid.data.sources.sysu30k import SYSU30k
from wsreid.data.sources.table import Table
from wsreid.data.sources.viper import VIPeR

__all__ = [
    "CAVIAR4REID",
    "CUHK01",
    "CUHK03",
    "MSMT17",
    "PRID2011",
    "SOURCES",
    "DukeMTMCreID",
    "Folder",
    "Market1501",
    "PKUReID",
    "SYSU30k",
    "Source",
    "Table",
    "VIPeR",
]
