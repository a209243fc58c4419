"""Means over the batches of an epoch that a resume in its middle goes on with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import lightning.pytorch as pl
from torch import Tensor


class MeansState(TypedDict):
    """What a checkpoint holds.

    Attributes:
        sums: By name, each value times its weight.
        weights: By name.
    """

    sums: dict[str, Tensor]
    weights: dict[str, int]


class EpochMeans:
    """Weighted means by name. Lightning's own, of `self.log(..., on_epoch=True)`, are not in its checkpoints."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, int] = {}

    def add(self, values: Mapping[str, Tensor], weight: int) -> None:
        """Takes a batch's scalars.

        Args:
            values: By name.
            weight: The batch's images.
        """
        for name, value in values.items():
            part = value.detach().float() * weight
            self._sums[name] = self._sums[name].to(part.device) + part if name in self._sums else part
            self._weights[name] = self._weights.get(name, 0) + weight

    def taken(self, trainer: pl.Trainer) -> dict[str, Tensor]:
        """The means over all processes; counting begins anew.

        Args:
            trainer: Knows the processes.
        """
        sums, weights, self._sums, self._weights = self._sums, self._weights, {}, {}
        if trainer.world_size == 1:
            return {name: total / weights[name] for name, total in sums.items()}
        reduce = trainer.strategy.reduce
        return {
            name: reduce(total, reduce_op="sum") / reduce(total.new_tensor(float(weights[name])), reduce_op="sum")
            for name, total in sums.items()
        }

    def state_dict(self) -> MeansState:
        """What a checkpoint holds."""
        return {"sums": dict(self._sums), "weights": dict(self._weights)}

    def load_state_dict(self, state: MeansState) -> None:
        """Goes on from a checkpoint."""
        self._sums, self._weights = dict(state["sums"]), dict(state["weights"])
