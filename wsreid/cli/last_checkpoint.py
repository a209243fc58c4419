"""When `last.ckpt` is written: behind each epoch, behind some steps, and when a signal asks the run to stop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint

from wsreid.cli.stop_signals import Stopped, StopSignals
from wsreid.errors import ConfigError
from wsreid.tracking.csv_logger import EPOCH_ROW


@dataclass(frozen=True)
class CheckpointSettings:
    """When checkpoints are written, besides the end of each epoch; see docs/survive.md.

    Attributes:
        every_n_steps: Steps of the optimiser from one `last.ckpt` to the next within an epoch; 0 = off.
        every_n_minutes: The same in minutes; 0 = off.

    Raises:
        ConfigError: A number is below 0.
    """

    every_n_steps: int = 0
    every_n_minutes: float = 0.0

    def __post_init__(self) -> None:
        for name in ("every_n_steps", "every_n_minutes"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"checkpoint.{name} must be at least 0, got {getattr(self, name)}")


class LastCheckpoint(ModelCheckpoint):
    """Writes `last.ckpt`.

    Not behind the last step of an epoch, nor before a validation: Lightning would go on from there without either's
    end; and not between two steps that share a gradient.

    Args:
        dirpath: The folder.
        settings: When.
        signals: Asks the run to stop.
    """

    def __init__(self, dirpath: str, settings: CheckpointSettings, signals: StopSignals) -> None:
        super().__init__(dirpath=dirpath, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)
        self.settings = settings
        self.signals = signals
        self._saved_step = 0
        self._saved_time = 0.0
        self._epoch_ends = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Counts from here; from here on signals wait for a step's end."""
        super().on_train_start(trainer, pl_module)
        self._saved_step, self._saved_time = trainer.global_step, time.monotonic()
        if trainer.world_size == 1:  # several processes would have to agree on the step
            self.signals.wait()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stops between two epochs, if asked to."""
        if self.signals.asked is not None:
            self._stop(trainer)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Writes, if it is time to and a run can go on from here; stops, if asked to."""
        asked = self.signals.asked is not None
        if not (asked or self._due(trainer)) or not _can_go_on(trainer):
            return
        if self._last_global_step_saved != trainer.global_step:
            self._write(trainer)
        if asked:
            self._stop(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes, together with the epoch's row of the curve, which comes after it."""
        self._epoch_ends = True
        super().on_train_epoch_end(trainer, pl_module)
        self._epoch_ends = False
        self._saved_step, self._saved_time = trainer.global_step, time.monotonic()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Adds the row: a kill may come before Lightning logs it."""
        if self._epoch_ends:
            logged = trainer._logger_connector.metrics["log"]
            row = {name: float(value) for name, value in logged.items()}
            step = trainer.fit_loop.epoch_loop._batches_that_stepped - 1  # as Lightning will log it
            checkpoint[EPOCH_ROW] = {"step": step, "metrics": {**row, "epoch": trainer.current_epoch}}

    def _due(self, trainer: pl.Trainer) -> bool:
        steps, minutes = self.settings.every_n_steps, self.settings.every_n_minutes
        if trainer.global_step == self._saved_step:
            return False
        if minutes:
            late = time.monotonic() - self._saved_time >= 60 * minutes
            if trainer.strategy.broadcast(late):
                return True
        return bool(steps) and trainer.global_step - self._saved_step >= steps

    def _write(self, trainer: pl.Trainer) -> None:
        self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))
        self._saved_step, self._saved_time = trainer.global_step, time.monotonic()

    def _stop(self, trainer: pl.Trainer) -> None:
        assert self.signals.asked is not None
        kept = f"{self.best_model_path} holds all up to step {self._last_global_step_saved}"
        raise Stopped(
            self.signals.asked,
            f"{kept if self.best_model_path else 'No step was taken'}: go on with the same command and "
            "--ckpt_path last.",
        )


def _can_go_on(trainer: pl.Trainer) -> bool:
    loop, fetcher = trainer.fit_loop.epoch_loop, trainer.fit_loop._data_fetcher
    assert fetcher is not None
    return not (loop._should_accumulate() or loop._is_training_done or loop._should_check_val_fx(fetcher))
