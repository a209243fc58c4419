"""The batch that a run failed on, kept so that its step can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch, Truth
from wsreid.whole_file import whole_file


@dataclass(frozen=True)
class FailedBatch:
    """A batch with the weights that met it.

    Attributes:
        batch: The batch, on the CPU.
        terms: The loss terms, by name.
        weights: The method's `state_dict` before the step; running statistics have seen the batch.
        step: The optimiser's step.
        epoch: The epoch.
    """

    batch: BagBatch
    terms: Mapping[str, float]
    weights: Mapping[str, Tensor]
    step: int
    epoch: int

    def save(self, path: Path) -> None:
        """Writes a file that `load` reads; it appears whole or not at all.

        Args:
            path: The file.

        Raises:
            WsreidError: It cannot be written.
        """
        tensors = {f.name: getattr(self.batch, f.name) for f in fields(BagBatch) if f.name != "truth"}
        content = {
            "batch": {**tensors, "truth": self.batch.truth.ids},
            "terms": dict(self.terms),
            "weights": dict(self.weights),
            "step": self.step,
            "epoch": self.epoch,
        }
        with whole_file(path, "wb") as file:
            torch.save(content, file)

    @classmethod
    def load(cls, path: Path | str) -> FailedBatch:
        """Reads what `save` wrote, without unpickling objects.

        Args:
            path: The file.
        """
        content = torch.load(path, map_location="cpu", weights_only=True)
        truth = Truth(content["batch"].pop("truth"))
        return cls(**{**content, "batch": BagBatch(**content["batch"], truth=truth)})
