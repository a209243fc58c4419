"""The curve of a run as a CSV file that survives a resume and a crash."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, TypedDict

import lightning.pytorch as pl
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from wsreid.whole_file import cannot_write, whole_file

METRICS_FILE = "metrics.csv"
EPOCH_ROW = "epoch_row"  # in a checkpoint: the row of the epoch that it ends, which is logged after it
_FIRST = ("epoch", "step")


def read_metrics(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Reads a metrics file, leaving out a last line that a crash cut short.

    Args:
        path: The CSV file.

    Returns:
        The columns and the rows; both empty if there is no such file.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(io.StringIO(whole))
    rows = list(reader)
    return list(reader.fieldnames or ()), rows


class CSVLogger(Logger):
    """Writes each row of metrics to `metrics.csv` as it comes.

    Lightning's own CSV logger deletes the file when its folder exists already, so that a resume loses the curve.
    This one appends; a column that turns up later is added to the header, and the file replaced in one step.
    Columns: `epoch`, `step`, then the metrics in the order of their first appearance; empty = not logged in this row.

    Args:
        folder: The run folder; made if missing.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._columns: list[str] = []
        self._file: IO[str] | None = None

    @property
    def path(self) -> Path:
        """The CSV file."""
        return self._folder / METRICS_FILE

    @property
    def name(self) -> str:
        """Empty: the run folder is the run's name."""
        return ""

    @property
    def version(self) -> str:
        """Empty: a run folder holds one run."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run folder."""
        return str(self._folder)

    @property
    def log_dir(self) -> str:
        """The run folder."""
        return str(self._folder)

    @rank_zero_only
    def log_hyperparams(self, *_: object, **__: object) -> None:
        """Does nothing: the configuration stands in the run folder's config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Appends one row and hands it to the operating system.

        Args:
            metrics: Name to number; `epoch` among them where Lightning logs it.
            step: The global step.

        Raises:
            WsreidError: The disk is full, or the file cannot be written; the rows before stay.
        """
        row = {name: _number(value) for name, value in metrics.items()}
        row["step"] = "" if step is None else str(step)
        if self._file is None:
            self._open()
        new = [name for name in row if name not in self._columns]
        if new:
            self._widen(new)
        assert self._file is not None
        size = os.fstat(self._file.fileno()).st_size
        try:
            csv.DictWriter(self._file, self._columns, lineterminator="\n").writerow(row)
            self._file.flush()
        except OSError as error:
            self._drop(size)
            raise cannot_write(self.path, error) from error

    @rank_zero_only
    def cut_from(self, step: int) -> int:
        """Drops the rows at `step` and after it, as a run that resumes there writes them again.

        Args:
            step: First step of the resumed run.

        Returns:
            The number of dropped rows.
        """
        self._close()
        columns, rows = read_metrics(self.path)
        kept = [row for row in rows if not row.get("step") or int(row["step"]) < step]
        if columns:
            self._replace(columns, kept)
        return len(rows) - len(kept)

    @rank_zero_only
    def add_missing(self, metrics: Mapping[str, float], step: int) -> None:
        """Appends a row unless it is there: a kill may come between a checkpoint and the row of its epoch.

        Args:
            metrics: As for `log_metrics`.
            step: The global step.
        """
        _, rows = read_metrics(self.path)
        if not any(row.get("step") == str(step) and all(row.get(name) for name in metrics) for row in rows):
            self.log_metrics(metrics, step)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Closes the file; a later row opens it again."""
        self._close()

    def _open(self) -> None:
        columns, rows = read_metrics(self.path)
        # A crash can leave half a line behind: the file is written anew so that the next row starts on its own line.
        if self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            self._replace(columns, rows)
        self._columns = columns
        self._append()

    def _widen(self, new: list[str]) -> None:
        self._close()
        _, rows = read_metrics(self.path)
        names = [*self._columns, *new]
        self._columns = [*_FIRST, *(name for name in names if name not in _FIRST)]
        self._replace(self._columns, rows)
        self._append()

    def _append(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8", newline="")
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def _replace(self, columns: list[str], rows: list[dict[str, str]]) -> None:
        with whole_file(self.path) as file:
            writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    def _drop(self, size: int) -> None:
        """Lets go of a row that could not be written, and of the part of it that was."""
        file, self._file = self._file, None
        assert file is not None
        with contextlib.suppress(OSError):  # it tries to write the row once more
            file.close()
        with contextlib.suppress(OSError):
            os.truncate(self.path, size)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class CutCurve(pl.Callback):
    """Cuts the rows that a resumed run will write again, and adds the one that it would not, once the step is known."""

    def __init__(self) -> None:
        self._row: EpochRow | None = None
        self._started = False

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keeps the row of the epoch that the checkpoint ends."""
        self._row = checkpoint.get(EPOCH_ROW)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Cuts the curve of each `CSVLogger` at the restored step."""
        self._started = True
        self._mend(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The same, where the checkpoint was the last one and nothing was trained."""
        if not self._started:
            self._mend(trainer)

    def _mend(self, trainer: pl.Trainer) -> None:
        loop = trainer.fit_loop.epoch_loop
        # the step that Lightning logs with; it counts that of a checkpoint within an epoch later than here
        step = loop._batches_that_stepped + (loop.restarting and loop.restarted_on_train_batch_end)
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.cut_from(step)
                if self._row is not None:
                    logger.add_missing(self._row["metrics"], self._row["step"])
        self._row = None


class EpochRow(TypedDict):
    """A row of the curve in a checkpoint."""

    step: int
    metrics: dict[str, float]


def _number(value: object) -> str:
    item = getattr(value, "item", None)
    plain = item() if callable(item) else value
    return repr(plain) if isinstance(plain, float) else str(plain)
