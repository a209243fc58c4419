"""Saves pictures of ranked lists after a test."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import lightning.pytorch as pl
import numpy as np

from wsreid.retrieval import RetrievalResult
from wsreid.retrieval.callback import RetrievalCallback
from wsreid.tracking.ranked_pictures import Image, draw_ranked
from wsreid.tracking.shown_queries import best_queries, fixed_queries, worst_queries
from wsreid.tracking.wandb_logger import GuardedWandbLogger

PICTURES = Path("pictures")


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
    """Draws ranked lists after a test, into the run folder's `pictures`.

    `ranked_worst.png`: the queries whose first match comes latest. Where W&B is on, it gets that and two more:
    `ranked_random.png`, queries that are the same for every method, and `ranked_best.png`, those of the highest average
    precision; as `test/ranked_worst`, `test/ranked_random` and `test/ranked_best`.

    Args:
        queries: Queries in a picture; 0 = no pictures.
        length: Gallery images per query, at most `retrieval.topk`.
    """

    def __init__(self, queries: int = 8, length: int = 10) -> None:
        super().__init__()
        self.queries = queries
        self.length = length

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draws, and logs the pictures to W&B if that is on."""
        data = getattr(trainer, "datamodule", None)
        result = next((c.results.get("test") for c in _retrievals(trainer)), None)
        if not trainer.is_global_zero or result is None or result.topk is None or not isinstance(data, ShowsImages):
            return
        worst = worst_queries(result, self.queries)
        if not worst:
            return
        folder = Path(trainer.default_root_dir) / PICTURES
        titles = {
            "worst": f"Ranked lists, the {len(worst)} worst of {result.n_valid} queries first",
            "random": f"Ranked lists, {min(self.queries, result.n_query)} random of {result.n_query} queries, "
            "the same for every method",
            "best": f"Ranked lists, the {len(worst)} best of {result.n_valid} queries first",
        }
        self._draw(result, worst, data, folder / "ranked_worst.png", titles["worst"])
        for logger in trainer.loggers:
            if not isinstance(logger, GuardedWandbLogger):
                continue
            logger.log_image("test/ranked_worst", [str(folder / "ranked_worst.png")], caption=[titles["worst"]])
            others = {"random": fixed_queries(result, self.queries), "best": best_queries(result, self.queries)}
            for kind, queries in others.items():
                with logger.attempt(f"picture of {kind} queries"):
                    path = folder / f"ranked_{kind}.png"
                    self._draw(result, queries, data, path, titles[kind])
                    logger.log_image(f"test/ranked_{kind}", [str(path)], caption=[titles[kind]])

    def _draw(self, result: RetrievalResult, queries: list[int], data: ShowsImages, path: Path, title: str) -> None:
        pid = data.manifest.pid
        draw_ranked(result, queries, data.image, lambda row: int(pid[row]), path, title=title, length=self.length)


def _retrievals(trainer: pl.Trainer) -> list[RetrievalCallback]:
    return [c for c in trainer.callbacks if isinstance(c, RetrievalCallback)]  # type: ignore[attr-defined]
