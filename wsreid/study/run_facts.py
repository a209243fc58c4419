"""What a run of a study tells beside its results: written by the run itself, so the study stays light."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from wsreid.data.needs import Needs
from wsreid.retrieval.callback import RetrievalCallback
from wsreid.study.records import FACTS_FILE, write_text
from wsreid.tracking.identity_sums import identity_sums
from wsreid.tracking.provenance import git_commit, versions


class RunFacts(pl.Callback):
    """Writes study.json into the run folder: images and steps, what the method needed, and sums by query identity.

    Images are counted once however many views of them a method asks for. The counts go into the checkpoint, so a resume
    goes on counting.
    """

    def __init__(self) -> None:
        super().__init__()
        self.images = 0
        self._facts: dict[str, object] = {}

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401  # Lightning's types
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Counts."""
        self.images += len(batch)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes what the fit tells."""
        self._write(
            trainer,
            {
                "steps": trainer.global_step,
                "images": self.images,
                "needs": needs_in_words(getattr(pl_module, "needs", Needs())),
                "learns_from": getattr(pl_module, "learns_from", "not told"),
                "git_commit": git_commit(),
                "versions": versions(),
            },
        )

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes what the test tells."""
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, RetrievalCallback) and "test" in callback.results:
                self._write(trainer, {"identities": identity_sums(callback.results["test"]).as_lists()})

    def state_dict(self) -> dict[str, int]:
        """The count."""
        return {"images": self.images}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Goes on from a checkpoint's count."""
        self.images = int(state_dict["images"])

    def _write(self, trainer: pl.Trainer, facts: dict[str, object]) -> None:
        self._facts |= facts
        if trainer.is_global_zero:
            write_text(Path(trainer.default_root_dir) / FACTS_FILE, json.dumps(self._facts))


def needs_in_words(needs: Needs) -> str:
    """What a method asks for, in short words.

    Args:
        needs: What it declares.

    Returns:
        Such as `2 views, ema`; empty where it asks for nothing but bags.
    """
    words = [f"{needs.views} views"] if needs.views > 1 else []
    names = ("whole_bags", "shared_label_pairs", "member_table", "epoch_pass", "ema", "identity_batches")
    return ", ".join([*words, *(name.replace("_", " ") for name in names if getattr(needs, name))])
