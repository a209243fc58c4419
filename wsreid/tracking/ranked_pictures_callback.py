"""Saves a picture of the worst ranked lists after a test."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import lightning.pytorch as pl
import numpy as np

from wsreid.retrieval.callback import RetrievalCallback
from wsreid.tracking.ranked_pictures import Image, draw_ranked, worst_queries
from wsreid.tracking.wandb_logger import GuardedWandbLogger

PICTURE = Path("pictures") / "ranked_worst.png"


class KnowsIdentities(Protocol):
    """A manifest, as far as pictures need it."""

    @property
    def pid(self) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """Identity of each row, `(N,)`."""


@runtime_checkable
class ShowsImages(Protocol):
    """A datamodule that can show its images."""

    @property
    def manifest(self) -> KnowsIdentities:
        """What each row is."""

    def image(self, row: int) -> Image:
        """RGB image of a row, `(H, W, 3)` uint8."""


class RankedPicturesCallback(pl.Callback):
    """Draws the queries whose first match comes latest, into the run folder's `pictures/ranked_worst.png`.

    Args:
        queries: Queries in the picture; 0 = no picture.
        length: Gallery images per query, at most `retrieval.topk`.
    """

    def __init__(self, queries: int = 8, length: int = 10) -> None:
        super().__init__()
        self.queries = queries
        self.length = length

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws, and logs the picture to W&B if that is on."""
        data = getattr(trainer, "datamodule", None)
        result = next((c.results.get("test") for c in _retrievals(trainer)), None)
        if not trainer.is_global_zero or result is None or result.topk is None or not isinstance(data, ShowsImages):
            return
        worst = worst_queries(result, self.queries)
        if not worst:
            return
        path = Path(trainer.default_root_dir) / PICTURE
        title = f"Ranked lists, the {len(worst)} worst of {result.n_valid} queries first"
        pid = data.manifest.pid
        draw_ranked(result, worst, data.image, lambda row: int(pid[row]), path, title=title, length=self.length)
        for logger in trainer.loggers:
            if isinstance(logger, GuardedWandbLogger):
                logger.log_image("test/ranked_worst", [str(path)])


def _retrievals(trainer: pl.Trainer) -> list[RetrievalCallback]:
    return [c for c in trainer.callbacks if isinstance(c, RetrievalCallback)]  # type: ignore[attr-defined]
