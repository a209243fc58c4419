"""How long a fit took, resumes included."""

from __future__ import annotations

import time

import lightning.pytorch as pl


class FitClock(pl.Callback):
    """Counts the seconds of training and validation; they go into the checkpoint, so a resume goes on counting.

    Attributes:
        seconds: So far.
    """

    def __init__(self) -> None:
        super().__init__()
        self._before = 0.0
        self._start: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._before + (0.0 if self._start is None else time.monotonic() - self._start)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Starts."""
        self._start = time.monotonic()

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stops."""
        self._before, self._start = self.seconds, None

    def state_dict(self) -> dict[str, float]:
        """Seconds so far."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Goes on from a checkpoint's seconds."""
        self._before = float(state_dict["seconds"])
