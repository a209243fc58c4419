"""A few test images embedded once more, by one process alone, for pictures and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray

from wsreid.data.datamodule import BagDataModule
from wsreid.data.dataset import EvalDataset
from wsreid.data.transforms import EvalTransform
from wsreid.methods.base import Method
from wsreid.models.activation_maps import activation_maps

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class EmbeddedImages:
    """N images as the network sees them.

    Attributes:
        rows: Manifest rows, `(N,)`; an image that cannot be read is left out.
        images: RGB, `(H, W, 3)` uint8 each.
        features: `(N, D)` float32.
    """

    rows: NDArray[np.int64]
    images: tuple[Image, ...]
    features: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MappedImages:
    """N images with their activation maps.

    Attributes:
        rows: As of `EmbeddedImages`.
        images: As of `EmbeddedImages`.
        maps: In [0, 1], `(H, W)` each.
    """

    rows: NDArray[np.int64]
    images: tuple[Image, ...]
    maps: tuple[NDArray[np.float32], ...]


def embedded_images(
    trainer: pl.Trainer, method: Method, data: BagDataModule, rows: NDArray[np.int64]
) -> EmbeddedImages:
    """Embeds images in evaluation mode, with the trainer's precision.

    Args:
        trainer: The trainer.
        method: What embeds.
        data: What the images are of.
        rows: Manifest rows, `(N,)`, at least one.

    Returns:
        The images in the order of `rows`.

    Raises:
        DataError: None of a batch's images can be read.
    """
    kept, features = [], []
    images: list[Image] = []
    with _scoring(trainer, method):
        for batch_rows, batch in _batches(data, rows):
            features.append(method.embed(batch.to(method.device)).float().cpu().numpy())
            kept.append(batch_rows)
            images += _pictures(batch)
    return EmbeddedImages(np.concatenate(kept), tuple(images), np.concatenate(features))


def mapped_images(
    trainer: pl.Trainer, method: Method, data: BagDataModule, rows: NDArray[np.int64]
) -> MappedImages | None:
    """Activation maps of images.

    Args:
        trainer: The trainer.
        method: What embeds.
        data: What the images are of.
        rows: Manifest rows, `(N,)`, at least one.

    Returns:
        The images in the order of `rows`; None for a network that has no such maps.

    Raises:
        DataError: None of a batch's images can be read.
    """
    kept, maps = [], []
    images: list[Image] = []
    with _scoring(trainer, method):
        for batch_rows, batch in _batches(data, rows):
            found = activation_maps(method.embed, method, batch.to(method.device))
            if found is None:
                return None
            maps += list(found.cpu().numpy())
            kept.append(batch_rows)
            images += _pictures(batch)
    return MappedImages(np.concatenate(kept), tuple(images), tuple(maps))


@contextmanager
def _scoring(trainer: pl.Trainer, method: Method) -> Iterator[None]:
    training = method.training
    method.eval()
    try:
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            yield
    finally:
        method.train(training)


def _batches(data: BagDataModule, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
    """Rows `(n,)` and images `(n, 3, H, W)`, read by this process."""
    dataset = EvalDataset(data.manifest, EvalTransform(data.height, data.width))
    for start in range(0, len(rows), data.eval_batch_size):
        batch = dataset[rows[start : start + data.eval_batch_size]]
        yield batch.row.numpy(), batch.images


def _pictures(images: torch.Tensor) -> Sequence[Image]:
    return [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in images]  # (3, H, W) -> (H, W, 3)
