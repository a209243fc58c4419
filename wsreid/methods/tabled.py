"""What the methods share that keep a distribution over the candidates for each member: RC, PRODEN, LWS, PiCO."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.inference import PseudoLabels, most_probable
from wsreid.methods.base import Method
from wsreid.methods.outputs import BagOutputs


class TabledMethod(Method, ABC):
    """A method whose labels are its table's entries.

    The pseudo labels of a member that was written are its entry, which is what the loss reads of it next; it was
    written from training views, so it may be an epoch old. A member that never was, or a batch not drawn by bag
    (member = -1), gets the softmax over the candidates, averaged over the heads.

    Processes write the members of their own bags; the base brings the tables together at the end of each epoch.
    """

    needs: ClassVar[Needs] = Needs(member_table=True)

    @abstractmethod
    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """See `Method.losses`."""

    def pseudo_labels(self, batch: BagBatch, outputs: BagOutputs) -> PseudoLabels:
        """The table's entries where written, else the softmax over the candidates."""
        candidates = batch.image_candidates  # (N, L)
        written = self.table.written(batch.member).to(candidates.device)[:, None]  # (N,) -> (N, 1)
        probs = torch.where(written, self.table.take(batch.member, candidates), self.softmax(batch, outputs))  # (N, L)
        return PseudoLabels(ids=most_probable(probs, candidates), probs=probs)

    def softmax(self, batch: BagBatch, outputs: BagOutputs) -> Tensor:
        """The softmax over the candidates, averaged over the heads, without gradient, `(N, L)`."""
        with torch.no_grad():
            return super().pseudo_labels(batch, outputs).probs
