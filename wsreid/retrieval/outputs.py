"""What the evaluation steps return, collected on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wsreid.errors import ConfigError
from wsreid.retrieval.errors import Side
from wsreid.retrieval.junk import Ints

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

    def add(self, outputs: object, step: str) -> None:
        """Takes one batch.

        Args:
            outputs: What the step returned.
            step: Its name, for the message.

        Raises:
            ConfigError: It is not a dict of tensors `features` (N, D), `pid`, `camera` and `row` (N,).
        """
        wanted = f"{step} must return a dict of tensors: features (N, D), pid, camera and row (N,)"
        if not isinstance(outputs, Mapping):
            raise ConfigError(f"{wanted}; it returned {type(outputs).__name__}.")
        tensors: list[Tensor] = []
        for key in _KEYS:
            value = outputs.get(key)
            if not isinstance(value, Tensor):
                raise ConfigError(f"{wanted}; {key} is {type(value).__name__ if key in outputs else 'missing'}.")
            tensors.append(value.detach().cpu())
        features, *numbers = tensors
        shapes = {key: tuple(value.shape) for key, value in zip(_KEYS, tensors, strict=True)}
        if features.ndim != 2 or any(value.shape != features.shape[:1] for value in numbers):
            raise ConfigError(f"{wanted}; the shapes are {shapes}.")
        pid, camera, row = (value.to(torch.int64).numpy() for value in numbers)
        self._batches.append(Embedded(features.to(torch.float32).numpy(), pid, camera, row))

    def gather(self, world_size: int) -> Embedded | None:
        """Joins the batches of all ranks, ordered by row, without the duplicates that samplers add to even them out.

        Args:
            world_size: Number of ranks; each must call this.

        Returns:
            The same on each rank; None if there was no image.
        """
        batches = self._batches
        if world_size > 1:
            parts: list[list[Embedded]] = [[] for _ in range(world_size)]
            torch.distributed.all_gather_object(parts, batches)
            batches = [batch for part in parts for batch in part]
        if sum(len(batch.row) for batch in batches) == 0:
            return None
        joined = Embedded(
            np.concatenate([b.features for b in batches]),
            np.concatenate([b.pid for b in batches]),
            np.concatenate([b.camera for b in batches]),
            np.concatenate([b.row for b in batches]),
        )
        if world_size == 1 or (joined.row < 0).any():
            return joined
        first = np.unique(joined.row, return_index=True)[1]
        return Embedded(joined.features[first], joined.pid[first], joined.camera[first], joined.row[first])
