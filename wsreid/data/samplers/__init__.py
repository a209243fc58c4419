"""Samplers that plan whole batches, so that datasets need no state."""

from wsreid.data.samplers.bag_sampler import BagSampler
from wsreid.data.samplers.camera_sampler import CameraSampler
from wsreid.data.samplers.eval_sampler import EvalSampler
from wsreid.data.samplers.folder_sampler import FolderSampler
from wsreid.data.samplers.identity_sampler import IdentitySampler
from wsreid.data.samplers.paired_bag_sampler import PairedBagSampler
from wsreid.data.samplers.plan import BatchPlan
from wsreid.data.samplers.whole_bag_sampler import WholeBagSampler

__all__ = [
    "BagSampler",
    "BatchPlan",
    "CameraSampler",
    "EvalSampler",
    "FolderSampler",
    "IdentitySampler",
    "PairedBagSampler",
    "WholeBagSampler",
]
