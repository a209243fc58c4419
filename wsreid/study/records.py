"""The records of a study: small files in the repository, so that what was run survives the machine it was run on."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from wsreid.data.cache import write_atomically
from wsreid.errors import DataError
from wsreid.study.plan import RESULTS_FILE, PlannedRun
from wsreid.tracking.identity_sums import IdentitySums

RUNS_FILE, IDENTITIES_FILE, FACTS_FILE = "runs.csv", "identities.json", "study.json"
PERCENTAGES = (
    *("R1", "R5", "R10", "mAP_step", "mAP_trapezoid", "mINP"),
    *(f"refine_{kind}{of}" for kind in ("raw", "per_bag", "over_set") for of in ("", "_random")),
)
COSTS = ("fit_seconds", "total_seconds", "peak_mib", "steps", "images")
NUMBERS = (*PERCENTAGES, *COSTS)
TEXTS = ("learns_from", "needs", "data_hash", "bags_hash", "git_commit", "versions")
COLUMNS = ("setting", "label", "method", "seed", "hash", "used_truth", "threads", *NUMBERS, *TEXTS)

Key = tuple[str, ...]


@dataclass(frozen=True)
class RunRecord:
    """What is kept of a finished run.

    Attributes:
        setting: Its bag setting.
        label: The line of the comparison that it belongs to.
        method: Class of the method.
        seed: Its seed.
        hash: Names what was run.
        used_truth: The method read image-level identities.
        threads: Threads that it was given.
        numbers: Number by name (`NUMBERS`); retrieval figures and label-refine accuracies in percent; None = not known.
        texts: Text by name (`TEXTS`).
        identities: Sums by query identity.
    """

    setting: str
    label: str
    method: str
    seed: int
    hash: str
    used_truth: bool
    threads: int
    numbers: Mapping[str, float | None]
    texts: Mapping[str, str]
    identities: IdentitySums

    @property
    def key(self) -> Key:
        """What it is a run of, as `PlannedRun.key`."""
        return (self.setting, self.label, str(self.seed))

    def cells(self) -> dict[str, str]:
        """Its row of runs.csv."""
        numbers = {name: "" if self.numbers[name] is None else f"{self.numbers[name]:.6g}" for name in NUMBERS}
        return {
            "setting": self.setting,
            "label": self.label,
            "method": self.method,
            "seed": str(self.seed),
            "hash": self.hash,
            "used_truth": str(self.used_truth).lower(),
            "threads": str(self.threads),
            **numbers,
            **self.texts,
        }

    @classmethod
    def of_cells(cls, cells: Mapping[str, str], identities: IdentitySums) -> RunRecord:
        """From a row of runs.csv."""
        return cls(
            setting=cells["setting"],
            label=cells["label"],
            method=cells["method"],
            seed=int(cells["seed"]),
            hash=cells["hash"],
            used_truth=cells["used_truth"] == "true",
            threads=int(cells["threads"]),
            numbers={name: float(cells[name]) if cells[name] else None for name in NUMBERS},
            texts={name: cells[name] for name in TEXTS},
            identities=identities,
        )


def record_of(run: PlannedRun, *, threads: int) -> RunRecord:
    """Reads a finished run.

    Args:
        run: The run.
        threads: Threads that it was given.

    Returns:
        Its record.

    Raises:
        DataError: A file of the run is missing or damaged.
    """
    results, facts = (read_json(run.folder / name) for name in (RESULTS_FILE, FACTS_FILE))
    cost = cost_of(run)
    try:
        row, hashes = results["rows"][0], results["hashes"]
        numbers: dict[str, float | None] = {name: _percent(row[name]) for name in PERCENTAGES}
        numbers |= {
            "fit_seconds": row["seconds"],
            "total_seconds": cost.get("seconds"),
            "peak_mib": cost.get("peak_mib"),
        }
        numbers |= {"steps": facts["steps"], "images": facts["images"]}
        versions = results["versions"]
        texts = {
            "learns_from": facts["learns_from"],
            "needs": facts["needs"],
            "data_hash": _short_hash(hashes.get("data")),
            "bags_hash": _short_hash(hashes.get("bags")),
            "git_commit": str(results["git_commit"] or ""),
            "versions": " ".join(
                f"{n} {versions[n]}" for n in ("wsreid", "python", "torch", "lightning") if n in versions
            ),
        }
        return RunRecord(
            setting=run.setting,
            label=run.label,
            method=results["method"],
            seed=run.seed,
            hash=run.hash,
            used_truth=bool(results["used_truth"]),
            threads=threads,
            numbers=numbers,
            texts=texts,
            identities=IdentitySums.of_lists(facts["identities"]),
        )
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise DataError(
            f"{run.folder}: {RESULTS_FILE} or {FACTS_FILE} lacks {error}. Remove the folder, and run the study again."
        ) from error


def cost_of(run: PlannedRun) -> dict[str, Any]:
    """What a run has taken, `seconds` and `peak_mib`.

    Args:
        run: The run.

    Returns:
        Number by name; empty where a go of it was not measured to its end, as its study was killed.

    Raises:
        DataError: The file is damaged.
    """
    cost = read_json(run.cost_file) if run.cost_file.is_file() else {}
    return {} if cost.get("open") or cost.get("incomplete") else cost


def has_failed(run: PlannedRun) -> bool:
    """Whether the last go of a run failed, as far as what lies beside its folder tells; a stopped one has not.

    Args:
        run: The run.

    Returns:
        True if so; a damaged file tells nothing, as a table needs none.
    """
    try:
        cost = read_json(run.cost_file) if run.cost_file.is_file() else {}
    except DataError:
        return False
    return bool(cost.get("failed")) and not cost.get("open")  # open: it has been begun again


@dataclass(frozen=True)
class Records:
    """The records of one study.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    def load(self) -> dict[Key, RunRecord]:
        """All whole records by key; a row without its identities (a crash between two files) is none.

        Raises:
            DataError: A file is damaged.
        """
        path = self.folder / RUNS_FILE
        if not path.is_file():
            return {}
        sums = self._identities()
        found = {}
        try:
            for cells in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
                entry = sums.get("/".join((cells["setting"], cells["label"], cells["seed"])))
                if entry is not None and entry["hash"] == cells["hash"]:
                    record = RunRecord.of_cells(cells, IdentitySums.of_lists(entry))
                    found[record.key] = record
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged, or of another version ({error}). Restore it from git.") from error
        return found

    def add(self, record: RunRecord) -> None:
        """Adds a record, or replaces that of the same key.

        Args:
            record: The record.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):  # a second study process may add its own
            self._write({**self.load(), record.key: record})

    def drop(self, keys: Collection[Key]) -> None:
        """Takes records out.

        Args:
            keys: Their keys; those that are not there do not matter.
        """
        if not (self.folder / RUNS_FILE).is_file():
            return
        with FileLock(self.folder / ".lock"):
            self._write({key: record for key, record in self.load().items() if key not in keys})

    def _write(self, records: Mapping[Key, RunRecord]) -> None:
        ordered = [records[key] for key in sorted(records, key=_order)]
        # The row says that a run is there, so it comes last.
        write_text(self.folder / IDENTITIES_FILE, _identities_text(ordered))
        write_text(self.folder / RUNS_FILE, csv_text(COLUMNS, (each.cells() for each in ordered)))

    def _identities(self) -> dict[str, Any]:
        path = self.folder / IDENTITIES_FILE
        return read_json(path) if path.is_file() else {}


def csv_text(columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> str:
    """Rows as the text of a CSV file."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def write_text(path: Path, text: str) -> None:
    """Writes a text file, whole or not at all."""

    def write(partial: Path) -> None:
        partial.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file that holds names and values.

    Raises:
        DataError: It is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: damaged: it holds no names and values.")
    return content


def _identities_text(records: Iterable[RunRecord]) -> str:
    # One run a line: a difference in git is then one of runs.
    lines = [
        f"{json.dumps('/'.join(each.key))}: {json.dumps({'hash': each.hash, **each.identities.as_lists()})}"
        for each in records
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _order(key: Key) -> tuple[object, ...]:
    return (*key[:-1], int(key[-1]))


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _short_hash(value: object) -> str:
    return "" if value is None else str(value)[:12]
