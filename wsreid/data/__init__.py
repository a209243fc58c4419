"""Bag-labelled image sets: from files to batches. Knows no network.

A manifest needs neither torch nor Lightning, so what does is loaded when it is asked for.
"""

import importlib
from typing import TYPE_CHECKING

from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import ImageRecords, Manifest, Split, write_manifest
from wsreid.data.needs import Needs
from wsreid.data.sources import Folder, Market1501, PKUReID, Source, SYSU30k

if TYPE_CHECKING:
    from wsreid.data.batch import BagBatch, EvalBatch, Truth
    from wsreid.data.datamodule import BagDataModule
    from wsreid.data.rendered import RenderSettings
    from wsreid.data.transforms import AugmentSettings
else:
    _LOADED_LATE = {
        "AugmentSettings": "transforms",
        "BagBatch": "batch",
        "BagDataModule": "datamodule",
        "EvalBatch": "batch",
        "RenderSettings": "rendered",
        "Truth": "batch",
    }

    def __getattr__(name: str) -> object:
        if name not in _LOADED_LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_LOADED_LATE[name]}"), name)


__all__ = [
    "AugmentSettings",
    "BagBatch",
    "BagDataModule",
    "BagSettings",
    "Bags",
    "EvalBatch",
    "Folder",
    "ImageRecords",
    "Manifest",
    "Market1501",
    "Needs",
    "PKUReID",
    "RenderSettings",
    "SYSU30k",
    "Source",
    "Split",
    "Truth",
    "make_bags",
    "write_manifest",
]
