"""SYSU-30k's folders taken as if they were identities."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from wsreid.data.batch import BagBatch
from wsreid.data.needs import Needs
from wsreid.errors import ConfigError
from wsreid.losses import smoothed_cross_entropy
from wsreid.methods.base import Method
from wsreid.methods.outputs import BagOutputs


class FolderCE(Method):
    """Cross entropy to the label of bags that have one: NOISY labels, not full supervision.

    On SYSU-30k the one-identity bags are the folders, and a folder is not clean per-image truth (an author's word in
    the official repository's issue 3): it holds other people too, and nobody knows which images. So this is no
    oracle, and its line in a table says noisy. It reads no image-level identity.

    Args:
        smoothing: Label smoothing.
        base: See `Method`.
    """

    needs: ClassVar[Needs] = Needs()

    def __init__(self, smoothing: float = 0.0, **base: Any) -> None:  # noqa: ANN401
        super().__init__(**base)
        self.smoothing = smoothing

    def setup(self, stage: str) -> None:
        """Refuses bags with several candidates before training.

        Raises:
            ConfigError: There is one.
        """
        super().setup(stage)
        bags = getattr(getattr(self.trainer, "datamodule", None), "bags", None)
        if stage != "fit" or bags is None:
            return
        wide = next((b for b in range(len(bags)) if len(bags.candidates(b)) > 1), None)
        if wide is not None:
            raise _several(int(bags.bag_id[wide]))

    def losses(self, batch: BagBatch, outputs: BagOutputs) -> dict[str, Tensor]:
        """One term, "ce".

        Raises:
            ConfigError: A bag of the batch has several candidates.
        """
        several = (batch.candidates >= 0).sum(1) > 1  # (B, L) -> (B,)
        if batch.candidates.shape[1] > 1 and bool(several.any()):
            raise _several(int(batch.bag_id[several][0]))
        ids = batch.image_candidates.amax(1)  # (N, L) -> (N,), -1 is padding
        heads = [smoothed_cross_entropy(logits, ids, self.smoothing) for logits in outputs.logits]
        return {"ce": torch.stack(heads).mean()}


def _several(bag_id: int) -> ConfigError:
    return ConfigError(
        f"FolderCE takes a bag's label as its images' identity, and bag {bag_id} has several candidates: "
        "use the bags of width 1 (--data.bags.sysu_widths [1]), or a method that learns from bags"
    )
