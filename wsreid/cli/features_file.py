"""What `predict` leaves: the features of queries and gallery."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from wsreid.errors import ConfigError
from wsreid.retrieval.outputs import SIDES

_log = logging.getLogger(__name__)


def write_features(trainer: pl.Trainer, folder: Path) -> None:
    """Writes `query.npz` and `gallery.npz`: features `(N, D)` float32, pid, camera and manifest row `(N,)` int64.

    Args:
        trainer: The trainer after its prediction.
        folder: Where the files go; those of an earlier prediction are replaced.

    Raises:
        ConfigError: The prediction ran in several processes, each of which holds a part.
    """
    if trainer.world_size > 1:
        raise ConfigError("predict writes its files from one process: use --trainer.devices 1")
    predictions: Sequence[Sequence[Mapping[str, Tensor]]] = trainer.predict_loop.predictions
    for side, batches in zip(SIDES, predictions, strict=True):
        columns = {name: torch.cat([batch[name].cpu() for batch in batches]).numpy() for name in batches[0]}
        path = folder / f"{side}.npz"
        temporary = path.with_name(f"{side}.part.npz")
        np.savez(temporary, **columns)  # type: ignore[arg-type]  # numpy's stub wants allow_pickle by name
        temporary.replace(path)
        _log.info("%s: features of %d %s images", path, len(columns["row"]), side)
