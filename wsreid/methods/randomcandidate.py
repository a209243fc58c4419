"""Cross entropy to a random candidate: the honest lower line."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.inference import PseudoLabels, hashed_uniform, random_candidate
from wsreid.losses import unary_loss
from wsreid.methods.base import Method
from wsreid.methods.outputs import BagOutputs


class RandomCandidate(Method):
    """Each image is trained on a candidate of its bag that was drawn at random; no source, a line to stand beside.

        L = -(1/N) sum_i log p_i[y_i],   y_i uniform on S_i

    By default y is fixed: a hash of the run's seed and the member (a bag and an image in it), so that an image keeps
    its label for the whole run, and an image in several bags may have one in each. That is what anyone can have who
    guesses once, and its label-refine accuracy is chance by construction. An image not drawn by bag (member = -1) has
    the hash of its row; where each epoch draws bags anew, a member is another image in each. With `redraw` y is drawn
    anew in each step; the mean of that loss is `BagCE`'s.

    With several heads all get the same y, and the loss is their mean.

    Args:
        redraw: Draw anew in each step.
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs()
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "redraw": (False, True), "warmup_epochs": (1, 3)}
    )

    def __init__(self, redraw: bool = False, **base: Any) -> None:  # noqa: ANN401
        super().__init__(**base)
        self.redraw = redraw

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The term "ce"."""
        drawn = self._draw(batch).ids  # (N,)
        return {"ce": torch.stack([unary_loss(logits, drawn) for logits in outputs.logits]).mean()}

    def pseudo_labels(self, batch: BagBatch, outputs: BagOutputs) -> PseudoLabels:
        """The fixed draw; with `redraw`, where no label lasts, the softmax over the candidates."""
        return super().pseudo_labels(batch, outputs) if self.redraw else self._draw(batch)

    def _draw(self, batch: BagBatch) -> PseudoLabels:
        candidates = batch.image_candidates  # (N, L)
        if self.redraw:
            uniform = torch.rand(len(batch), generator=self.generator("random candidate"), dtype=torch.float64)  # (N,)
        else:
            key = torch.where(batch.member >= 0, batch.member, -1 - batch.row)  # (N,), rows below every member
            uniform = hashed_uniform(self._run_seed, key)  # (N,)
        return random_candidate(candidates, uniform)

    @property
    def _run_seed(self) -> int:
        return 0 if self._trainer is None else int(getattr(getattr(self._trainer, "datamodule", None), "seed", 0))
