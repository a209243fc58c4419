"""The loader of datasets that make whole batches."""

from __future__ import annotations

import signal
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from wsreid.data.batch import BagBatch, EvalBatch
from wsreid.data.samplers import BatchPlan

_Batch = TypeVar("_Batch", BagBatch, EvalBatch)


def batch_loader(
    dataset: Dataset[_Batch],
    sampler: Sampler[BatchPlan] | Sampler[NDArray[np.int64]],
    *,
    workers: int,
    persistent: bool,
    pin_memory: bool,
) -> DataLoader[_Batch]:
    """Makes a loader.

    Args:
        dataset: Gives a whole batch for each item.
        sampler: Plans the batches.
        workers: Processes that load; 0 = this one.
        persistent: Keep them between epochs.
        pin_memory: Put batches where a GPU fetches them fast.

    Returns:
        The loader.
    """
    return DataLoader(
        dataset,
        sampler=sampler,
        batch_size=None,  # the dataset makes whole batches
        num_workers=workers,
        worker_init_fn=init_worker,
        persistent_workers=persistent and workers > 0,
        pin_memory=pin_memory,
        generator=torch.Generator(),  # iterating must not move the global one: a resume iterates anew
    )


def init_worker(worker: int) -> None:
    """Leaves OpenCV one thread in each worker; called by the loader."""
    cv2.setNumThreads(0)  # the processes are the parallelism
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the step under way still needs its batch
