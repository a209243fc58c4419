"""What the evaluation steps return, collected on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreid.errors import ConfigError
from wsreid.retrieval.errors import Side
from wsreid.retrieval.group import Alone, Group
from wsreid.retrieval.junk import UNKNOWN, Ints

SIDES: tuple[Side, Side] = ("query", "gallery")
_KEYS = ("features", "pid", "camera", "row")


@dataclass(frozen=True, eq=False)
class Embedded:
    """The features of one side of an evaluation.

    Attributes:
        features: `(N, D)` float32.
        pid: Identities, `(N,)`.
        camera: Cameras, `(N,)`; -1 = unknown.
        row: The data set's rows, `(N,)`; -1 = unknown.
    """

    features: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    pid: Ints
    camera: Ints
    row: Ints


class StepOutputs:
    """Collects the dicts that `validation_step` or `test_step` return for one dataloader."""

    def __init__(self) -> None:
        self._batches: list[Embedded] = []

    @property
    def images(self) -> int:
        """Number of images so far."""
        return sum(len(batch.row) for batch in self._batches)

    @property
    def width(self) -> int:
        """Dimension D of the features; 0 before the first batch."""
        return self._batches[0].features.shape[1] if self._batches else 0

    def add(self, outputs: object, step: str) -> None:
        """Takes one batch.

        Args:
            outputs: What the step returned.
            step: Its name, for the message.

        Raises:
            ConfigError: It is not a dict of tensors `features` (N, D), `pid`, `camera` and `row` (N,), or D changes.
        """
        wanted = f"{step} must return a dict of tensors: features (N, D), pid, camera and row (N,)"
        if not isinstance(outputs, Mapping):
            raise ConfigError(f"{wanted}; it returned {type(outputs).__name__}.")
        tensors: list[Tensor] = []
        for key in _KEYS:
            value = outputs.get(key)
            if not isinstance(value, Tensor):
                raise ConfigError(f"{wanted}; {key} is {type(value).__name__ if key in outputs else 'missing'}.")
            tensors.append(value.detach())
        features, *numbers = tensors
        shapes = {key: tuple(value.shape) for key, value in zip(_KEYS, tensors, strict=True)}
        if features.ndim != 2 or any(value.shape != features.shape[:1] for value in numbers):
            raise ConfigError(f"{wanted}; the shapes are {shapes}.")
        if self._batches and features.shape[1] != self.width:
            raise ConfigError(f"{step} returned features of {features.shape[1]} dimensions after some of {self.width}.")
        # a copy: what the step returned may be a view of its whole batch, or be written to again
        stored = features.to("cpu", torch.float32, copy=True).numpy()
        pid, camera, row = (value.to("cpu", torch.int64, copy=True).numpy() for value in numbers)
        self._batches.append(Embedded(stored, pid, camera, row))

    def extend(self, other: StepOutputs) -> None:
        """Takes the batches of another collection, which keeps them too."""
        self._batches += other._batches

    def rows(self) -> Ints:
        """The data set's row of each image, `(N,)`, in the order they came."""
        return _joined([batch.row for batch in self._batches])

    def take(self, index: Ints, width: int | None = None, *, keep: bool = False) -> Embedded:
        """Joins images and forgets all batches, one by one, so that the features are never held twice.

        Args:
            index: The images, by their place in the order they came, each at most once, `(n,)`.
            width: Dimension D, for a process that has seen no batch.
            keep: Forget nothing.

        Returns:
            The images in the order of `index`.
        """
        place = np.full(self.images, -1, dtype=np.int64)
        place[index] = np.arange(len(index))
        features = np.empty((len(index), self.width or width or 0), dtype=np.float32)
        numbers = [_joined([getattr(batch, key) for batch in self._batches])[index] for key in _KEYS[1:]]
        start = 0
        batches = self._batches[::-1]
        if not keep:
            self._batches = []
        while batches:
            batch = batches.pop()
            to = place[start : start + len(batch.row)]
            features[to[to >= 0]] = batch.features[to >= 0]  # (b, D)
            start += len(batch.row)
        return Embedded(features, *numbers)


@dataclass(frozen=True, eq=False)
class Sides:
    """Both sides of an evaluation, as one process of a group holds them.

    Attributes:
        query: All queries, the same on each process.
        gallery: This process's part of the gallery.
        images: Number of query and of gallery images over all processes.
    """

    query: Embedded
    gallery: Embedded
    images: Mapping[Side, int]


def share(outputs: Mapping[Side, StepOutputs], group: Group | None = None, *, keep: bool = False) -> Sides:
    """Gathers the queries and keeps the gallery where it was embedded.

    Samplers repeat images to even the processes out. Over several processes an image whose row is known is kept once,
    by the lowest rank that has it, and the images are ordered by row; for that the row numbers are exchanged, 8 bytes
    an image, and never a gallery feature. One process keeps all its images, in the order they came.

    Args:
        outputs: What this process has collected; left empty.
        group: The processes, each of which must call this; None = one.
        keep: Leave what was collected; its features are then held twice.

    Returns:
        The two sides; a side may be empty.

    Raises:
        FeatureError: The processes hold features of different dimensions; raised on each of them.
    """
    group = Alone() if group is None else group
    kept = {side: _kept(outputs[side].rows(), group) for side in SIDES}
    query, gallery = (outputs[side].take(kept[side], int(group.max(outputs[side].width)), keep=keep) for side in SIDES)
    images = group.sum(np.array([len(query.row), len(gallery.row)]))
    if group.size > 1:
        parts = [np.concatenate(group.gather(getattr(query, key))) for key in _KEYS]
        order = np.argsort(parts[3], kind="stable")
        query = Embedded(*(part[order] for part in parts))
    return Sides(query, gallery, dict(zip(SIDES, images.tolist(), strict=True)))


def _kept(rows: Ints, group: Group) -> Ints:
    """The places of this process's images that it keeps, ordered by row, `(n,)`."""
    if group.size == 1:
        return np.arange(len(rows))
    parts = group.gather(rows)
    everywhere = np.concatenate(parts)
    first = np.zeros(len(everywhere), dtype=np.bool_)
    first[np.unique(everywhere, return_index=True)[1]] = True
    start = sum(len(part) for part in parts[: group.rank])
    mine = np.flatnonzero(first[start : start + len(rows)] | (rows == UNKNOWN))
    return mine[np.argsort(rows[mine], kind="stable")]


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate([*parts, np.empty(0, dtype=np.int64)])
