"""A small network learns from a trained one how alike images are; no label is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError, WeightsError
from wsreid.inference import PseudoLabels
from wsreid.losses import similarity_distribution_loss, similarity_preserving_loss
from wsreid.methods.base import Method
from wsreid.methods.option_ranges import above_zero
from wsreid.methods.outputs import BagOutputs
from wsreid.models.trained import TrainedNetwork, read_trained


@dataclass(frozen=True)
class DistilledOutputs(BagOutputs):
    """The student's forward pass, and the teacher's.

    Attributes:
        taught: The teacher's features of the same images, `(N, D_t)` float32, without gradient.
    """

    taught: Tensor


class Distill(Method):
    """Draws the network's similarities between the images of a batch to those of a trained network, the teacher.

    It learns from NO label: of the bags it takes the images alone, and which of them are in a batch. What the teacher
    was trained on may have had labels: they are part of what it knows.

    "similarity" compares the matrices of similarities (arXiv:1907.09682), "distribution" what each image finds among
    the others (in-batch form of arXiv:2010.14713 and 2101.04731). f are the network's test features, t the teacher's;
    u and v the same with norm 1:

        similarity:   L = (1/N^2) |G(t) - G(f)|^2,  G(f) = f f^T with rows of norm 1
        distribution: L = (1/N) sum_i KL(softmax_{j != i}(v_i . v_j / tau) || softmax_{j != i}(u_i . u_j / tau))

    Both networks see the same augmented images; the teacher is in evaluation mode, has its own normalisation, and its
    own input size if it is told. It is no part of checkpoints: they hold its file's hash, and a run goes on with that
    file alone. The classifiers are not trained, and there are no pseudo labels. Each process compares its own images.

    Args:
        teacher: The teacher's file, a path or a name in the folder WSREID_WEIGHTS_DIR: a checkpoint of a run, or of
            another project in a format that `python -m wsreid weights` lists. Only `fit` reads it.
        teacher_backbone: Its network, where the file does not tell it: a file of timm's keys.
        teacher_size: Height and width of its images; None = as its format tells, or as the student's.
        loss: "similarity" or "distribution".
        temperature: tau of "distribution".
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs()
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"lr": (1e-3, 2e-3, 4e-3), "loss": ("similarity", "distribution"), "temperature": (0.05, 0.1, 0.2)}
    )

    def __init__(
        self,
        teacher: str | None = None,
        teacher_backbone: str | None = None,
        teacher_size: tuple[int, int] | None = None,
        loss: Literal["similarity", "distribution"] = "similarity",
        temperature: float = 0.1,
        **base: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**base)
        above_zero(temperature=temperature, teacher_size=min(teacher_size or (1, 1)))
        self.teacher = teacher
        self.teacher_backbone = teacher_backbone
        self.teacher_size = teacher_size
        self.loss = loss
        self.temperature = temperature
        self.classifiers.requires_grad_(False)  # unused: DDP waits for the gradient of all others
        self._taught_by: TrainedNetwork | None = None

    @property
    def learns_from(self) -> str:
        """No label."""
        return "no labels"

    def setup(self, stage: str) -> None:
        """As `Method.setup`; a fit has a teacher then, see `read_teacher`."""
        super().setup(stage)
        if stage == "fit" and self._taught_by is None:
            self.read_teacher()

    def read_teacher(self) -> None:
        """Reads the teacher; the command line calls it before anything is written.

        Raises:
            ConfigError: None is named.
            WeightsError: Its file is missing, or cannot be read.
        """
        if self.teacher is None:
            raise ConfigError(
                "Distill learns from a trained network: name its file by --model.teacher FILE, a checkpoint of a run "
                "or one that `python -m wsreid weights` lists; docs/methods.md says how to train one"
            )
        size = None if self.teacher_size is None else (self.teacher_size[0], self.teacher_size[1])
        try:
            self.teach(read_trained(self.teacher, self.teacher_backbone, size))
        except WeightsError as error:
            raise WeightsError(f"--model.teacher: {error}") from None

    def teach(self, teacher: TrainedNetwork) -> None:
        """Sets whom the network learns from.

        Args:
            teacher: A trained network.
        """
        self._taught_by = teacher

    def outputs(self, batch: BagBatch) -> BagOutputs:
        """As `Method.outputs`; in training with the teacher's features."""
        found = super().outputs(batch)
        if self._taught_by is None or not self.training:
            return found
        taught = self._taught_by.embed(batch.images[0])  # (V, N, 3, H, W) -> (N, D_t)
        return DistilledOutputs(found.logits, found.network, taught)

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """One term, named after the loss."""
        assert isinstance(outputs, DistilledOutputs)
        features = outputs.network.features  # (N, D)
        if self.loss == "similarity":
            return {"similarity": similarity_preserving_loss(features, outputs.taught)}
        return {"distribution": similarity_distribution_loss(features, outputs.taught, self.temperature)}

    def pseudo_labels(self, batch: BagBatch, outputs: BagOutputs) -> PseudoLabels:
        """None."""
        there = batch.image_candidates >= 0  # (N, L)
        even = there / there.sum(1, keepdim=True).clamp(min=1)
        return PseudoLabels(ids=torch.full_like(batch.bag, -1), probs=even)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds which file the teacher is, not its weights."""
        super().on_save_checkpoint(checkpoint)
        if self._taught_by is not None:
            checkpoint["teacher"] = {"path": str(self._taught_by.path), "sha256": self._taught_by.sha256}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses to go on with another teacher.

        Raises:
            ConfigError: The teacher's file is not the one that the run began with.
        """
        super().on_load_checkpoint(checkpoint)
        saved, now = checkpoint.get("teacher"), self._taught_by
        if saved is not None and now is not None and saved["sha256"] != now.sha256:
            raise ConfigError(
                f"the teacher {now.path} (hash {now.sha256[:12]}) is not the file that the run began with "
                f"({saved['path']}, hash {saved['sha256'][:12]}): bring that one back, or start a new run from the "
                "weights alone: --model.weights CHECKPOINT"
            )
