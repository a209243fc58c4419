"""Scores validation and test runs of a LightningModule by retrieval."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from wsreid.errors import ConfigError, DataError
from wsreid.retrieval.errors import NoMatchError, NonFiniteFeaturesError
from wsreid.retrieval.evaluate import Ties, evaluate
from wsreid.retrieval.expansion_settings import QueryExpansion
from wsreid.retrieval.features import Metric
from wsreid.retrieval.group import Alone, Ranks, together
from wsreid.retrieval.outputs import SIDES, Sides, StepOutputs, share
from wsreid.retrieval.protocols import Protocol, protocol_named
from wsreid.retrieval.rerank_settings import KReciprocal
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.search_settings import SearchSettings, search_settings
from wsreid.retrieval.summary import summary
from wsreid.retrieval.watching import LogLines, watched_by

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

    Over several processes (DDP) each keeps the part of the gallery that it has embedded, and none ever holds all of it;
    queries, the scores of matches and counts are exchanged, images that a sampler repeats count once, and the ranks are
    those of one process, bit for bit. An error on one process is raised on all.

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
        protocol: Junk rule, and which queries count: `market1501`, `sysu30k`, `msmt17`, `cuhk03_classic`, `cuhk03_np`
            or `none`; null = `market1501` where cameras are known, else `none`.
        index: What finds the ranked lists of `topk`: `exact`, `ivf`, `pq`, `hnsw`, or all settings of one of them. The
            figures are exact whatever it is.
        rerank: k-reciprocal re-ranking of the figures; one process only. null = none.
        expand: Query expansion before all else; one process only. null = none.
        bootstrap: Draws of query identities for 95 % intervals, logged as `{val|test}/R1_low`, `R1_high` and so on;
            0 = not logged. The closing table shows intervals either way.

    Raises:
        ConfigError: There is no such protocol or index, or a number is out of its range.
    """

    def __init__(
        self,
        metric: Metric = "cosine",
        ties: Ties = "mid",
        max_rank: int = 50,
        topk: int | None = 10,
        memory_mb: int = 512,
        save: bool = True,
        protocol: str | None = None,
        index: SearchSettings | str = "exact",
        rerank: KReciprocal | None = None,
        expand: QueryExpansion | None = None,
        bootstrap: int = 0,
    ) -> None:
        self.metric: Metric = metric
        self.ties: Ties = ties
        self.max_rank = max_rank
        self.topk = topk
        self.memory_mb = memory_mb
        self.save = save
        self.protocol: Protocol | None = None if protocol is None else protocol_named(protocol)
        self.index = search_settings(index)
        self.rerank = rerank
        self.expand = expand
        self.bootstrap = bootstrap
        if bootstrap < 0:
            raise ConfigError(f"bootstrap={bootstrap}: expected 0 (no intervals) or more draws.")
        self.results: dict[Stage, RetrievalResult] = {}
        self.best: dict[str, float] = {}
        self._outputs = {side: StepOutputs() for side in SIDES}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuses what several processes cannot do, before they train.

        Raises:
            ConfigError: Re-ranking or query expansion is on under several processes.
        """
        for name in ("rerank", "expand"):
            if getattr(self, name) is not None and trainer.world_size > 1:
                raise ConfigError(
                    f"retrieval.{name} needs the whole gallery in one process, and there are {trainer.world_size}. "
                    "Leave it out here; `python -m wsreid predict`, then `evaluate`, scores with it."
                )

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
        group = Ranks() if trainer.world_size > 1 else Alone()
        sides = share(outputs, group)
        if not any(sides.images.values()):
            return
        for side in SIDES:
            if not sides.images[side]:
                raise DataError(
                    f"{stage}: the {side} dataloader gave no images. Retrieval needs two dataloaders, query first, "
                    "then gallery; look at the split and at limit_*_batches."
                )
        device = pl_module.device if pl_module.device.type == "cuda" else torch.device("cpu")
        try:
            with watched_by(LogLines()):
                result = self._evaluate(trainer, sides, device)
        except NoMatchError as error:
            if not limited(trainer, stage):
                raise
            logger.warning("%s: nothing to score in the images that the batch limit lets through: %s", stage, error)
            return
        self.results[stage] = result
        with together(group):
            if self.save and trainer.is_global_zero:
                result.save(Path(trainer.default_root_dir) / FILES[stage])
        self._log(trainer, pl_module, stage, result)

    def _evaluate(self, trainer: pl.Trainer, sides: Sides, device: torch.device) -> RetrievalResult:
        query, gallery = sides.query, sides.gallery

        def named(error: Exception) -> Exception:
            """The error with the names of this process's images."""
            if not isinstance(error, NonFiniteFeaturesError):
                return error
            rows = (query if error.side == "query" else gallery).row[list(error.indices)]
            return error.named(tuple(_describe(trainer, int(row)) for row in rows[:5]))

        group = _NamingRanks(named) if trainer.world_size > 1 else None
        try:
            return evaluate(
                query.features,
                gallery.features,
                q_pid=query.pid,
                g_pid=gallery.pid,
                q_cam=query.camera,
                g_cam=gallery.camera,
                metric=self.metric,
                ties=self.ties,
                protocol=self.protocol,
                max_rank=self.max_rank,
                topk=self.topk,
                index=self.index,
                rerank=self.rerank,
                expand=self.expand,
                query_row=query.row,
                gallery_row=gallery.row,
                memory_mb=self.memory_mb,
                device=device,
                group=group,
            )
        except NonFiniteFeaturesError as error:
            if group is not None:
                raise
            raise named(error) from error

    def _log(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: Stage, result: RetrievalResult) -> None:
        figures = summary(result)
        counts = {"n_query": result.n_query, "n_valid": result.n_valid, "n_tied": result.n_tied}
        values = {f"{stage}/{name}": float(value) for name, value in {**figures, **counts}.items()}
        if self.bootstrap:
            for name, interval in result.intervals(self.bootstrap).items():
                values[f"{stage}/{name}_low"], values[f"{stage}/{name}_high"] = interval.low, interval.high
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


class _NamingRanks(Ranks):
    """All processes; each puts the names of its own images into an error before the others learn of it."""

    def __init__(self, named: Callable[[Exception], Exception]) -> None:
        super().__init__()
        self._named = named

    def agree(self, error: Exception | None) -> None:
        """See `Group.agree`."""
        super().agree(None if error is None else self._named(error))


def limited(trainer: pl.Trainer, stage: Stage) -> bool:
    """Whether a batch limit, fast_dev_run's too, lets a part of the split through alone."""
    limit = trainer.limit_val_batches if stage == "val" else trainer.limit_test_batches
    return limit != 1.0 or isinstance(limit, int)


def _describe(trainer: pl.Trainer, row: int) -> str:
    describe = getattr(getattr(trainer, "datamodule", None), "describe_row", None)
    return str(describe(row)) if describe is not None and row >= 0 else f"row {row}"
