"""What W&B gets beside the figures: tables by query, bags with their labels, embeddings, activation maps, artifacts."""

from __future__ import annotations

import logging

import lightning.pytorch as pl
import numpy as np

from wsreid.data.datamodule import BagDataModule
from wsreid.methods.base import Method
from wsreid.methods.diagnostics_callback import DiagnosticsCallback
from wsreid.retrieval import RetrievalResult
from wsreid.retrieval.callback import RetrievalCallback, Stage
from wsreid.tracking.activation_figure import activation_figure
from wsreid.tracking.embedded_images import embedded_images, mapped_images
from wsreid.tracking.embedding_table import embedding_table, shown_rows
from wsreid.tracking.figure_files import pixels
from wsreid.tracking.labelled_bag_figure import labelled_bag_figure, shown_bags
from wsreid.tracking.query_table import COLUMNS, query_rows
from wsreid.tracking.shown_queries import fixed_queries
from wsreid.tracking.wandb_artifacts import log_artifacts
from wsreid.tracking.wandb_logger import GuardedWandbLogger
from wsreid.tracking.wandb_settings import WandbSettings

_log = logging.getLogger(__name__)


class WandbCallback(pl.Callback):
    """Gives W&B what is not a number; `WandbSettings` says what and how much.

    All of it is made by process 0 alone, from what that process has already: no other process waits for it, and none
    of it reaches the training. What cannot be made is left out, and a warning says so.

    `{val|test}/queries`: a table for each evaluation. `train/bags`: bags with each image's label, its confidence and
    the truth, from the labels that `DiagnosticsCallback` has collected. `test/embeddings`, `test/activation_maps`: of a
    few test images, which are embedded once more. Artifacts: the checkpoints and the bag file.

    It must stand behind the callbacks of retrieval and diagnostics.

    Args:
        settings: What the user chose.
    """

    def __init__(self, settings: WandbSettings) -> None:
        super().__init__()
        self.settings = settings
        self._first_epoch = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remembers where the fit starts."""
        self._first_epoch = trainer.current_epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the picture of bags, where the epoch's labels were watched."""
        logger, epoch = _logger(trainer), trainer.current_epoch
        ends = epoch == self._first_epoch or epoch + 1 == trainer.max_epochs
        if (
            logger is None
            or not self.settings.bags
            or not (ends or (epoch + 1) % self.settings.bags_every_n_epochs == 0)
        ):
            return
        with logger.attempt("picture of bags"):
            self._log_bags(trainer, logger)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the table of queries."""
        if not trainer.sanity_checking:
            self._log_queries(trainer, "val")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the table of queries, embeddings and activation maps."""
        self._log_queries(trainer, "test")
        logger, result, data = _logger(trainer), _result(trainer, "test"), getattr(trainer, "datamodule", None)
        if logger is None or not isinstance(data, BagDataModule) or not isinstance(pl_module, Method):
            return
        if self.settings.embeddings:
            with logger.attempt("embeddings"):
                self._log_embeddings(trainer, pl_module, data, logger)
        if self.settings.activation_maps and result is not None:
            with logger.attempt("activation maps"):
                rows = result.query_row[fixed_queries(result, self.settings.activation_maps)]
                self._log_maps(trainer, pl_module, data, rows, logger)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the artifacts."""
        logger = _logger(trainer)
        if logger is not None and self.settings.artifacts:
            with logger.attempt("artifacts"):
                log_artifacts(trainer, type(pl_module).__name__, logger)

    def _log_queries(self, trainer: pl.Trainer, stage: Stage) -> None:
        logger, result = _logger(trainer), _result(trainer, stage)
        if logger is None or result is None or not self.settings.table_rows:
            return
        describe = getattr(getattr(trainer, "datamodule", None), "describe_row", str)
        with logger.attempt("table of queries"):
            rows = query_rows(result, fixed_queries(result, self.settings.table_rows), describe)
            logger.log_table(f"{stage}/queries", columns=list(COLUMNS), data=rows, step=_step(trainer))

    def _log_bags(self, trainer: pl.Trainer, logger: GuardedWandbLogger) -> None:
        data, epoch = getattr(trainer, "datamodule", None), trainer.current_epoch
        watching = next((c for c in _callbacks(trainer) if isinstance(c, DiagnosticsCallback)), None)
        if watching is None or watching.finished != epoch or not isinstance(data, BagDataModule):
            return
        if not watching.labels:  # an oracle's batches are not drawn by bag
            return
        manifest = data.manifest
        bags = shown_bags(
            watching.labels,
            self.settings.bags,
            name=lambda index: manifest.pid_name(int(manifest.identities[index])),
            image=data.image,
        )
        figure = labelled_bag_figure(bags, f"Bags in epoch {epoch + 1}: the label of each image, and who it is")
        step = _step(trainer) - 1  # that of the epoch's figures, which Lightning logs after this
        logger.log_image("train/bags", [pixels(figure)], step=step, caption=[f"epoch {epoch + 1}"])

    def _log_embeddings(
        self, trainer: pl.Trainer, method: Method, data: BagDataModule, logger: GuardedWandbLogger
    ) -> None:
        rows = shown_rows(data.manifest, self.settings.embeddings)
        found = embedded_images(trainer, method, data, rows)
        table = embedding_table(found.rows, found.images, found.features, data.manifest, data.describe_row)
        logger.log_table("test/embeddings", columns=table.columns, data=table.cells, step=_step(trainer))
        logger.log_metrics({"test/embeddings_variance": table.variance}, _step(trainer))

    def _log_maps(
        self,
        trainer: pl.Trainer,
        method: Method,
        data: BagDataModule,
        rows: np.ndarray[tuple[int], np.dtype[np.int64]],
        logger: GuardedWandbLogger,
    ) -> None:
        found = mapped_images(trainer, method, data, rows)
        if found is None:
            _log.warning("W&B gets no activation maps: this network ends in tokens, not in a map")
            return
        names = [data.manifest.pid_name(int(pid)) for pid in data.manifest.take("pid", found.rows)]
        title = f"Where the network looks, in {len(names)} queries, the same for every method"
        figure = activation_figure(found.images, found.maps, names, title)
        logger.log_image("test/activation_maps", [pixels(figure)], step=_step(trainer), caption=[title])


def _logger(trainer: pl.Trainer) -> GuardedWandbLogger | None:
    if not trainer.is_global_zero:
        return None
    return next((logger for logger in trainer.loggers if isinstance(logger, GuardedWandbLogger)), None)


def _result(trainer: pl.Trainer, stage: Stage) -> RetrievalResult | None:
    return next((c.results.get(stage) for c in _callbacks(trainer) if isinstance(c, RetrievalCallback)), None)


def _callbacks(trainer: pl.Trainer) -> list[pl.Callback]:
    return trainer.callbacks  # type: ignore[attr-defined, no-any-return]


def _step(trainer: pl.Trainer) -> int:
    """The step that Lightning logs with."""
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)
