"""The state of the random number generators, kept in checkpoints."""

from __future__ import annotations

import random
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch


class RandomState(pl.Callback):
    """Lets a resumed run draw the numbers that the uninterrupted one would: dropout, drop path, a method's own.

    What the suite draws itself is keyed on seed and step and needs no state. With several processes a checkpoint holds
    the state of process 0, and the others draw other numbers than before.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, Any] | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Sets the generators, after all that setting up has drawn."""
        state, self._loaded = self._loaded, None
        if state is None or not trainer.is_global_zero:
            return
        torch.set_rng_state(state["torch"])
        if len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda"])
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002  # whoever uses it, is meant
        version, internal, gauss = state["python"]
        random.setstate((version, tuple(internal), gauss))

    def state_dict(self) -> dict[str, Any]:
        """All states, as a checkpoint can hold them."""
        name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002
        version, internal, gauss = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy": [name, torch.from_numpy(np.asarray(keys, np.int64)), *rest],
            "python": [version, list(internal), gauss],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps the states until training starts."""
        self._loaded = state_dict
