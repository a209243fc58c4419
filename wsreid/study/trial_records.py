"""The records of a tuning: all its trials, good and bad, and the best of them as options for other studies."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from wsreid.errors import DataError
from wsreid.study.options import Options
from wsreid.study.plan import PlannedRun
from wsreid.study.records import FACTS_FILE, Key, cost_of, csv_text, read_json, write_text

TRIALS_FILE, BEST_FILE = "trials.csv", "best.yaml"
COLUMNS = ("setting", "label", "trial", "seed", "hash", "score", "seconds", "images", "options", "git_commit")
_METRICS_FILE = "metrics.csv"  # of wsreid.tracking, which a light command does not load


@dataclass(frozen=True)
class Trial:
    """Options to try.

    Attributes:
        number: 0 = the method's own defaults.
        options: What it changes.
    """

    number: int
    options: Options


@dataclass(frozen=True)
class TrialRecord:
    """What is kept of a trial's run.

    Attributes:
        key: What it is a run of, as `PlannedRun.key`.
        hash: Names what was run.
        score: What it has reached on the validation split, a share.
        seconds: How long its process took; None = not known.
        images: Images that it was trained on.
        options: What it tried.
        git_commit: Of the code.
    """

    key: Key
    hash: str
    score: float
    seconds: float | None
    images: int
    options: Options
    git_commit: str

    def cells(self) -> dict[str, str]:
        """Its row of trials.csv."""
        setting, label, trial, seed = self.key
        seconds = "" if self.seconds is None else f"{self.seconds:.1f}"
        values = (setting, label, trial, seed, self.hash, f"{self.score:.6f}", seconds, str(self.images))
        return dict(zip(COLUMNS, (*values, json.dumps(dict(self.options)), self.git_commit), strict=True))

    @classmethod
    def of_cells(cls, cells: Mapping[str, str]) -> TrialRecord:
        """From a row of trials.csv."""
        return cls(
            key=(cells["setting"], cells["label"], cells["trial"], cells["seed"]),
            hash=cells["hash"],
            score=float(cells["score"]),
            seconds=float(cells["seconds"]) if cells["seconds"] else None,
            images=int(cells["images"]),
            options=json.loads(cells["options"]),
            git_commit=cells["git_commit"],
        )


def trial_record_of(run: PlannedRun, options: Options, metric: str) -> TrialRecord:
    """Reads a finished trial.

    Args:
        run: The run.
        options: What the trial tried.
        metric: Column of metrics.csv whose last value is its score.

    Returns:
        Its record.

    Raises:
        DataError: A file of the run is missing or damaged.
    """
    facts = read_json(run.folder / FACTS_FILE)
    cost = cost_of(run)
    return TrialRecord(
        key=run.key,
        hash=run.hash,
        score=last_value(run.folder / _METRICS_FILE, metric),
        seconds=cost.get("seconds"),
        images=int(facts["images"]),
        options=options,
        git_commit=str(facts["git_commit"] or ""),
    )


def last_value(path: Path, column: str) -> float:
    """The last value of a column.

    Args:
        path: A metrics.csv.
        column: The column.

    Returns:
        The value.

    Raises:
        DataError: There is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            values = [cell for row in csv.DictReader(file) if (cell := row.get(column))]
        return float(values[-1])
    except (OSError, ValueError, IndexError) as error:
        raise DataError(
            f"{path}: no value of {column}. A trial is scored on validation identities: let it validate at its end "
            "(trainer.check_val_every_n_epoch), and hold some out (data.val_fraction)."
        ) from error


@dataclass(frozen=True)
class TrialRecords:
    """The trials of one study.

    Attributes:
        folder: Where the records lie.
    """

    folder: Path

    def load(self) -> dict[Key, TrialRecord]:
        """All trials by key.

        Raises:
            DataError: The file is damaged.
        """
        path = self.folder / TRIALS_FILE
        if not path.is_file():
            return {}
        try:
            rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
            return {record.key: record for record in map(TrialRecord.of_cells, rows)}
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged, or of another version ({error}). Restore it from git.") from error

    def add(self, record: TrialRecord) -> None:
        """Adds a trial, or replaces that of the same key.

        Args:
            record: The trial.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            self._write({**self.load(), record.key: record})

    def drop(self, keys: Collection[Key]) -> None:
        """Takes trials out.

        Args:
            keys: Their keys; those that are not there do not matter.
        """
        if not (self.folder / TRIALS_FILE).is_file():
            return
        with FileLock(self.folder / ".lock"):
            self._write({key: record for key, record in self.load().items() if key not in keys})

    def _write(self, records: Mapping[Key, TrialRecord]) -> None:
        ordered = [records[key] for key in sorted(records, key=lambda key: (*key[:2], int(key[2]), int(key[3])))]
        write_text(self.folder / TRIALS_FILE, csv_text(COLUMNS, (record.cells() for record in ordered)))
