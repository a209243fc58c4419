"""Self-training on the labels of a slow copy of the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.inference import PseudoLabels, candidate_softmax, most_probable, sharpened
from wsreid.losses import weighted_candidate_cross_entropy
from wsreid.methods.base import Method
from wsreid.methods.outputs import BagOutputs
from wsreid.methods.progress import run_progress


@dataclass(frozen=True)
class TaughtOutputs(BagOutputs):
    """The student's forward pass, and what the teacher says.

    Attributes:
        taught: q, `(N, L)`, without gradient.
    """

    taught: Tensor


class MeanTeacher(Method):
    """Cross entropy to the sharpened labels of a teacher whose weights are an average of the network's own.

    The whole is ours, on standard parts: the averaged teacher of arXiv:1703.01780, sharpening as in arXiv:1905.02249,
    the threshold as in arXiv:2001.07685.

        theta' <- d theta' + (1 - d) theta                                  after each step
        q_ic = p'_ic^(1/T) / sum_{c' in S_i} p'_ic'^(1/T)                   p' by theta', of the second view
        L = -(1/N) sum_i [max_c q_ic > t] sum_{c in S_i} q_ic log p_ic      p by theta, of the first view

    t rises from 0 to `threshold`, linearly, epoch by epoch; the mean is over all images with a candidate, those below
    the threshold included. The teacher is in evaluation mode. p' is the mean of its heads' softmaxes over the
    candidates, and all heads of the network learn from it (ours). Pseudo labels are the teacher's, of the second view
    in training and of the one view elsewhere. The second forward pass is the definition's: about a third of a step
    more. Under several processes each one's teacher follows the same weights; its statistics of batch normalisation
    are those of the process, as the network's own are.

    Args:
        decay: d. Of a run of 1,000 steps .999 still leaves a third of the weight on the first step: use .99 there.
        temperature: T.
        threshold: t of the last epoch, below 1.
        test_with: Score the network, "student", or the average, "teacher".
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs(views=2, ema=True)
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {
            "lr": (1e-3, 2e-3, 4e-3),
            "decay": (0.9, 0.99, 0.999),
            "temperature": (0.5, 0.75, 1.0),
            "threshold": (0.0, 0.4, 0.7),
        }
    )

    def __init__(
        self,
        decay: float = 0.999,
        temperature: float = 0.5,
        threshold: float = 0.7,
        test_with: Literal["student", "teacher"] = "student",
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        if not 0 <= decay < 1:
            raise ConfigError(f"decay must be at least 0 and below 1, got {decay}")
        if not 0 <= threshold < 1:
            raise ConfigError(f"threshold must be at least 0 and below 1, got {threshold}")
        if temperature <= 0:
            raise ConfigError(f"temperature must be above 0, got {temperature}")
        self.temperature = temperature
        self.threshold = threshold
        self.test_with = test_with
        self.follow(decay)

    def outputs(self, batch: BagBatch) -> TaughtOutputs:
        """The student on the first view, the teacher on the last."""
        found = super().outputs(batch)
        candidates = batch.image_candidates  # (N, L)
        taught = self.follower_outputs(batch.images[-1])  # (V, N, 3, H, W) -> (N, 3, H, W)
        heads = torch.stack([candidate_softmax(logits, candidates) for logits in taught.logits])  # (H, N, L)
        q = sharpened(heads.mean(0), candidates, self.temperature)  # (H, N, L) -> (N, L)
        return TaughtOutputs(found.logits, found.network, q)

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """The term "ce"."""
        assert isinstance(outputs, TaughtOutputs)
        candidates = batch.image_candidates  # (N, L)
        kept = (outputs.taught > self.threshold * run_progress(self._trainer)).any(1, keepdim=True)  # (N, L) -> (N, 1)
        weights = outputs.taught * kept
        heads = [weighted_candidate_cross_entropy(logits, candidates, weights) for logits in outputs.logits]
        return {"ce": torch.stack(heads).mean()}

    def pseudo_labels(self, batch: BagBatch, outputs: BagOutputs) -> PseudoLabels:
        """The teacher's labels, those below the threshold too."""
        assert isinstance(outputs, TaughtOutputs)
        return PseudoLabels(ids=most_probable(outputs.taught, batch.image_candidates), probs=outputs.taught)

    def embed(self, images: Tensor) -> Tensor:
        """Features to rank by, of the network or of the average; see `Method.embed`."""
        if self.test_with == "student":
            return super().embed(images)
        network = self.follower.network
        features: Tensor = network(self.normalise(images)).features.float()  # (N, D)
        if self.flip_test:
            features = features + network(self.normalise(images.flip(-1))).features.float()
        return features
