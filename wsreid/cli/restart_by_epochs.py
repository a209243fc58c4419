"""Lets a run under `trainer.max_steps` go on as one under `max_epochs` does."""

from __future__ import annotations

import lightning.pytorch as pl


class RestartByEpochs(pl.Callback):
    """Makes a resume exact under `trainer.max_steps`.

    Where steps are counted, Lightning (2.6) takes each checkpoint for one of an unfinished epoch: it counts a finished
    one twice, and the epochs behind it are drawn in another order (`FitLoop.restarting`, `on_run_start`). Whether an
    epoch was finished stands in the checkpoint, whatever ends the run.
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Before a checkpoint's counters are loaded."""
        loop = trainer.fit_loop
        if not hasattr(loop, "_iteration_based_training"):
            raise RuntimeError("Lightning's FitLoop has changed: see whether resumes under max_steps are exact now")
        loop._iteration_based_training = lambda: False  # type: ignore[method-assign]
