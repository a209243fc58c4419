"""How far a run has come, for what changes over it."""

import math

import lightning.pytorch as pl


def run_progress(trainer: pl.Trainer | None) -> float:
    """Share of the run that lies behind, by epochs: 0 in the first, 1 in the last; by batches in a run of one epoch.

    Args:
        trainer: The trainer of a method; None = no run, which is as its start.

    Returns:
        In [0, 1]. A run that is limited by steps alone counts those; one without a limit stays at 0.
    """
    if trainer is None:
        return 0.0
    if trainer.max_epochs is not None and trainer.max_epochs > 0:
        if trainer.max_epochs == 1:
            batches = trainer.num_training_batches
            return min(trainer.fit_loop.batch_idx / (batches - 1), 1.0) if 1 < batches < math.inf else 0.0
        return min(trainer.current_epoch / (trainer.max_epochs - 1), 1.0)
    return min(trainer.global_step / trainer.max_steps, 1.0) if trainer.max_steps > 0 else 0.0
