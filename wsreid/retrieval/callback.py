"""Scores validation and test runs of a LightningModule by retrieval."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from wsreid.errors import ConfigError, DataError
from wsreid.retrieval.errors import NoMatchError, NonFiniteFeaturesError
from wsreid.retrieval.evaluate import Ties, evaluate
from wsreid.retrieval.features import Metric
from wsreid.retrieval.outputs import SIDES, StepOutputs
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.summary import summary

logger = logging.getLogger(__name__)

Stage = Literal["val", "test"]
FILES: Mapping[Stage, str] = {"val": "retrieval_val.npz", "test": "retrieval.npz"}
BEST = ("R1", "mAP_step")


class RetrievalCallback(pl.Callback):
    """Ranks the gallery for each query at the end of each validation and test pass, and logs the figures.

    `validation_step` and `test_step` return a dict of `features` (N, D), `pid`, `camera` and `row` (N,); dataloader 0
    is the query, 1 the gallery. Logged: `{val|test}/R1, R5, R10, mAP_step, mAP_trapezoid, mINP, n_query, n_valid,
    n_tied`, and `best/R1`, `best/mAP_step`, the highest of val so far. The whole result goes to `retrieval.npz` (test)
    or `retrieval_val.npz` in the trainer's `default_root_dir`, and stays in `results` under "val" or "test".

    Under `limit_val_batches` and `limit_test_batches` the images seen are all there is; should no query have a match
    among them, a warning says so and nothing is logged.

    Args:
        metric: Similarity of two features: `cosine`, `dot`, or `euclidean` (nearest first).
        ties: Where non-matches that tie with a match go: `mid` half of them before it, `optimistic` all behind it,
            `pessimistic` all before it.
        max_rank: Length of the CMC curve in the saved result.
        topk: Length of the ranked lists kept for pictures, junk removed; null = none.
        memory_mb: Working memory of the ranking in MB, features aside.
        save: Write the npz file.
    """

    def __init__(
        self,
        metric: Metric = "cosine",
        ties: Ties = "mid",
        max_rank: int = 50,
        topk: int | None = 10,
        memory_mb: int = 512,
        save: bool = True,
    ) -> None:
        self.metric: Metric = metric
        self.ties: Ties = ties
        self.max_rank = max_rank
        self.topk = topk
        self.memory_mb = memory_mb
        self.save = save
        self.results: dict[Stage, RetrievalResult] = {}
        self.best: dict[str, float] = {}
        self._outputs = {side: StepOutputs() for side in SIDES}

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forgets what an interrupted pass may have left."""
        self._clear()

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forgets what an interrupted pass may have left."""
        self._clear()

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, object] | None,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps a batch's features on the CPU."""
        if not trainer.sanity_checking:
            self._keep(outputs, dataloader_idx, "validation_step")

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor | Mapping[str, object] | None,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps a batch's features on the CPU."""
        self._keep(outputs, dataloader_idx, "test_step")

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Scores the validation split."""
        if not trainer.sanity_checking:
            self._score(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Scores the test split."""
        self._score(trainer, pl_module, "test")

    def state_dict(self) -> dict[str, float]:
        """The best figures so far, so that a resumed run goes on from them."""
        return dict(self.best)

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Takes the best figures of a checkpoint."""
        self.best = dict(state_dict)

    def _clear(self) -> None:
        self._outputs = {side: StepOutputs() for side in SIDES}

    def _keep(self, outputs: object, dataloader_idx: int, step: str) -> None:
        if dataloader_idx >= len(SIDES):
            raise ConfigError(
                f"retrieval needs two dataloaders, query and gallery; {step} got loader {dataloader_idx}."
            )
        self._outputs[SIDES[dataloader_idx]].add(outputs, step)

    def _score(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: Stage) -> None:
        outputs = self._outputs
        self._clear()
        gathered = {side: outputs[side].gather(trainer.world_size) for side in SIDES}
        empty = [side for side in SIDES if gathered[side] is None]
        if len(empty) == len(SIDES):
            return
        query, gallery = gathered["query"], gathered["gallery"]
        if query is None or gallery is None:
            raise DataError(
                f"{stage}: the {empty[0]} dataloader gave no images. Retrieval needs two dataloaders, query first, "
                "then gallery; look at the split and at limit_*_batches."
            )
        device = pl_module.device if pl_module.device.type == "cuda" else torch.device("cpu")
        try:
            result = evaluate(
                query.features,
                gallery.features,
                q_pid=query.pid,
                g_pid=gallery.pid,
                q_cam=query.camera,
                g_cam=gallery.camera,
                metric=self.metric,
                ties=self.ties,
                max_rank=self.max_rank,
                topk=self.topk,
                query_row=query.row,
                gallery_row=gallery.row,
                memory_mb=self.memory_mb,
                device=device,
            )
        except NonFiniteFeaturesError as error:
            rows = (query if error.side == "query" else gallery).row[list(error.indices)]
            names = tuple(_describe(trainer, int(row)) for row in rows[:5])
            raise NonFiniteFeaturesError(error.side, error.indices, names) from error
        except NoMatchError as error:
            if not limited(trainer, stage):
                raise
            logger.warning("%s: nothing to score in the images that the batch limit lets through: %s", stage, error)
            return
        self.results[stage] = result
        if self.save and trainer.is_global_zero:
            result.save(Path(trainer.default_root_dir) / FILES[stage])
        self._log(trainer, pl_module, stage, result)

    def _log(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: Stage, result: RetrievalResult) -> None:
        figures = summary(result)
        counts = {"n_query": result.n_query, "n_valid": result.n_valid, "n_tied": result.n_tied}
        values = {f"{stage}/{name}": float(value) for name, value in {**figures, **counts}.items()}
        if stage == "val":
            for name in BEST:
                self.best[name] = max(figures[name], self.best.get(name, -np.inf))
                values[f"best/{name}"] = self.best[name]
        for name, value in values.items():
            # a tensor: Lightning would make one of the default type, which may be bfloat16
            scalar = torch.tensor(value, dtype=torch.float32, device=pl_module.device)
            pl_module.log(
                name,
                scalar,
                on_step=False,
                on_epoch=True,
                prog_bar=name.endswith("/R1"),
                sync_dist=trainer.world_size > 1,  # the same on each rank; spares a warning
                batch_size=1,
            )


def limited(trainer: pl.Trainer, stage: Stage) -> bool:
    """Whether a batch limit, fast_dev_run's too, lets a part of the split through alone."""
    limit = trainer.limit_val_batches if stage == "val" else trainer.limit_test_batches
    return limit != 1.0 or isinstance(limit, int)


def _describe(trainer: pl.Trainer, row: int) -> str:
    describe = getattr(getattr(trainer, "datamodule", None), "describe_row", None)
    return str(describe(row)) if describe is not None and row >= 0 else f"row {row}"
