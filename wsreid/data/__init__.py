"""Bag-labelled image sets: from files to batches. Knows no network."""

from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.data.batch import BagBatch, EvalBatch, Truth
from wsreid.data.datamodule import BagDataModule
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import ImageRecords, Manifest, Split, write_manifest
from wsreid.data.needs import Needs
from wsreid.data.rendered import RenderSettings
from wsreid.data.sources import Folder, Market1501, PKUReID, Source, SYSU30k
from wsreid.data.transforms import AugmentSettings

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
