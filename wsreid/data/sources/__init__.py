"""Readers of data sets, one file each."""

from wsreid.data.sources.base import Source
from wsreid.data.sources.folder import Folder
from wsreid.data.sources.market1501 import Market1501
from wsreid.data.sources.pku import PKUReID
from wsreid.data.sources.sysu30k import SYSU30k

__all__ = ["Folder", "Market1501", "PKUReID", "SYSU30k", "Source"]
