"""All readers of data sets by the names that commands take."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from wsreid.data.sources.base import Source
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

_CLASSES: Final[tuple[type[Source], ...]] = (
    CUHK03,
    Market1501,
    DukeMTMCreID,
    MSMT17,
    CUHK01,
    PRID2011,
    VIPeR,
    CAVIAR4REID,
    SYSU30k,
    PKUReID,
    Folder,
    Table,
)
SOURCES: Final[Mapping[str, type[Source]]] = MappingProxyType({source.name: source for source in _CLASSES})
"""By `Source.name`, in the order of the comparison table, then those outside of it."""
