"""Datasets that make a batch from its plan; stateless, so that any worker gives the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from wsreid.data.batch import BagBatch, EvalBatch, Truth
from wsreid.data.images import UnreadableImage, read_image
from wsreid.data.manifest import Manifest
from wsreid.data.samplers.plan import BatchPlan
from wsreid.data.transforms import EvalTransform, Transform
from wsreid.errors import DataError

_Batch = TypeVar("_Batch", BagBatch, EvalBatch)


class BagDataset(Dataset[BagBatch]):
    """Makes training batches: `dataset[plan]`.

    An image that cannot be read is left out and its row is named in `skipped`; a bag that loses all its images is left
    out too, so that every bag of the batch has an image.

    Args:
        manifest: The images; when the dataset is sent to another process, the path alone is.
        transform: What is done to each image.
        views: Views of each image, V.
        seed: Seed of the augmentation.
    """

    def __init__(self, manifest: Manifest, transform: Transform, *, views: int = 1, seed: int = 0) -> None:
        self.manifest = manifest
        self.transform = transform
        self.views = views
        self.seed = seed

    def __getitem__(self, plan: BatchPlan) -> BagBatch:
        """Reads, augments and stacks the images of a plan.

        Raises:
            DataError: None of the images can be read.
        """
        images = np.empty((self.views, len(plan.row), 3, self.transform.height, self.transform.width), np.uint8)

        def load(i: int) -> None:
            row, image = int(plan.row[i]), read_image(self.manifest.location(int(plan.row[i])))
            first = int(plan.copy[i]) * self.views
            for view, out in enumerate(images[:, i], first):  # out: (3, H, W)
                self.transform(image, seed=self.seed, epoch=plan.epoch, row=row, view=view, out=out)

        kept, skipped = _load_all(len(plan.row), load, plan.row)
        row = plan.row[kept]
        bags, bag = np.unique(plan.bag[kept], return_inverse=True)  # bags that still have an image
        batch = BagBatch(
            images=torch.from_numpy(images[:, kept] if len(skipped) else images),  # (V, N, 3, H, W)
            bag=_long(bag),
            candidates=_long(plan.candidates[bags]),
            bag_id=_long(plan.bag_id[bags]),
            bag_size=_long(plan.bag_size[bags]),
            member=_long(plan.member[kept]),
            row=_long(row),
            camera=_long(self.manifest.take("camera", row)),
            sequence=_long(self.manifest.take("sequence", row)),
            frame=_long(self.manifest.take("frame", row)),
            truth=Truth(_long(self.manifest.class_index(self.manifest.take("pid", row)))),
            skipped=_long(skipped),
        )
        return _handed_over(batch)


class EvalDataset(Dataset[EvalBatch]):
    """Makes batches to score: `dataset[rows]`.

    An image that cannot be read is left out and its row is named in `skipped`.

    Args:
        manifest: The images; when the dataset is sent to another process, the path alone is.
        transform: What is done to each image.
    """

    def __init__(self, manifest: Manifest, transform: EvalTransform) -> None:
        self.manifest = manifest
        self.transform = transform

    def __getitem__(self, rows: NDArray[np.int64]) -> EvalBatch:
        """Reads and stacks the images of some rows.

        Raises:
            DataError: None of the images can be read.
        """
        images = np.empty((len(rows), 3, self.transform.height, self.transform.width), np.uint8)

        def load(i: int) -> None:
            self.transform(read_image(self.manifest.location(int(rows[i]))), out=images[i])

        kept, skipped = _load_all(len(rows), load, rows)
        row = rows[kept]
        batch = EvalBatch(
            images=torch.from_numpy(images[kept] if len(skipped) else images),  # (N, 3, H, W)
            pid=_long(self.manifest.take("pid", row)),
            camera=_long(self.manifest.take("camera", row)),
            row=_long(row),
            skipped=_long(skipped),
        )
        return _handed_over(batch)


def _handed_over(batch: _Batch) -> _Batch:
    if get_worker_info() is not None:
        batch.share_memory()
    return batch


def _load_all(
    count: int, load: Callable[[int], None], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    kept: list[int] = []
    failures: list[UnreadableImage] = []
    for i in range(count):
        try:
            load(i)
            kept.append(i)
        except UnreadableImage as error:
            failures.append(error)
    if not kept:
        shown = "\n".join(f"  {failure}" for failure in failures[:10])
        raise DataError(f"none of the {count} images of a batch can be read:\n{shown}")
    index = np.asarray(kept, np.int64)
    return index, np.unique(np.delete(rows, index))


def _long(values: NDArray[np.signedinteger]) -> Tensor:
    return torch.from_numpy(np.array(values, np.int64))
