"""Bags with the labels that a run's last checkpoint gives their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from wsreid.data.bags import Bags
from wsreid.data.datamodule import BagDataModule
from wsreid.data.dataset import BagDataset
from wsreid.data.samplers.plan import plan_of_bags
from wsreid.data.seeding import stream
from wsreid.data.transforms import EvalTransform
from wsreid.errors import DataError
from wsreid.methods.base import Method
from wsreid.report.image_pool import ImagePool
from wsreid.report.run_data import loaded
from wsreid.tracking.recorded_run import RecordedRun

SHOWN_IMAGES: Final = 12


@dataclass(frozen=True)
class LabelledImage:
    """An image of a bag.

    Attributes:
        image: Its number in the pool.
        label: Name of the identity that the method gives it; empty = none.
        share: Probability of the label, in percent; None without one.
        truth: Name of its true identity; empty = not known.
    """

    image: int
    label: str
    share: float | None
    truth: str


@dataclass(frozen=True)
class LabelledBag:
    """A bag.

    Attributes:
        bag_id: Its id.
        size: Images in it, those not shown among them.
        candidates: Names of the identities that its own label names.
        images: Some of its images.
    """

    bag_id: int
    size: int
    candidates: tuple[str, ...]
    images: tuple[LabelledImage, ...]


def labelled_bags(run: RecordedRun, data: BagDataModule, count: int, pool: ImagePool) -> list[LabelledBag]:
    """Labels the images of a few bags, undistorted, on the CPU.

    Runs on the same bags show the same ones.

    Args:
        run: The run.
        data: Its data.
        count: How many bags; all where there are fewer.
        pool: Takes the images.

    Returns:
        The bags, in the order of the file.

    Raises:
        WsreidError: The checkpoint or the images are not there any more, or are others than those of the run.
    """
    bags = data.bags
    recorded = str(run.hashes.get("bags", ""))
    if recorded != data.hashes["bags"]:
        raise DataError(f"the bags have changed since the run: their hash was {recorded[:12] or 'not recorded'}")
    method = loaded(run).method
    if method.num_ids != len(data.manifest.identities):
        raise DataError(
            f"the checkpoint knows {method.num_ids} identities and the training data {len(data.manifest.identities)}"
        )
    method.forget_other_bags(data.hashes["bags"])
    draw = stream("report: bags", 0)
    chosen = np.sort(draw.choice(len(bags), size=min(count, len(bags)), replace=False)).tolist()
    dataset = BagDataset(data.manifest, EvalTransform(data.height, data.width))
    return [_labelled(method, data, bags, bag, dataset, pool) for bag in chosen]


def _labelled(
    method: Method, data: BagDataModule, bags: Bags, bag: int, dataset: BagDataset, pool: ImagePool
) -> LabelledBag:
    # a larger bag than a batch is labelled by its first images, as in the closing test
    size = min(int(bags.sizes[bag]), data.eval_batch_size)
    batch = dataset[plan_of_bags(bags, [bag], [np.arange(size, dtype=np.int64)], epoch=0)]
    with torch.inference_mode():
        found = method.pseudo_labels(batch, method.outputs(batch))
    candidates = batch.image_candidates  # (N, L)
    share = torch.where(candidates == found.ids[:, None], found.probs, 0).sum(1)  # (N, L) -> (N,)
    shown = _spread(len(batch), SHOWN_IMAGES)
    return LabelledBag(
        bag_id=int(bags.bag_id[bag]),
        size=int(bags.sizes[bag]),
        candidates=tuple(_name(data, c) for c in bags.candidates(bag).tolist()),
        images=tuple(
            LabelledImage(
                image=pool.number(data, int(batch.row[i]), 0),
                label=_name(data, int(found.ids[i])),
                share=round(100 * float(share[i]), 1) if found.ids[i] >= 0 else None,
                truth=_name(data, int(batch.truth.ids[i])),
            )
            for i in shown.tolist()
        ),
    )


def _spread(number: int, most: int) -> NDArray[np.int64]:
    """At most so many of 0..number - 1, evenly spread."""
    return np.linspace(0, number - 1, min(number, most)).round().astype(np.int64)


def _name(data: BagDataModule, index: int) -> str:
    return data.manifest.pid_name(int(data.manifest.identities[index])) if index >= 0 else ""
