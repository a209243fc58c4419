"""Reads run folders back: what `compare`, `report` and notebooks know of a run. Loads no Lightning and no network."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

from wsreid.errors import DataError
from wsreid.tracking.plain_text import plain_text
from wsreid.tracking.provenance import read_provenance
from wsreid.tracking.result_table import RESULTS_FILE
from wsreid.tracking.run_folder import CHECKPOINTS, CONFIG_FILE

if TYPE_CHECKING:
    import pandas as pd

    from wsreid.retrieval.result import RetrievalResult

RESUMED_FILE = "config-resume.yaml"
METRICS_FILE, DIAGNOSTICS_FILE = "metrics.csv", "diagnostics.csv"
RETRIEVAL_FILE = "retrieval.npz"
_RESTORE = "Take it from a copy of the run, or train again: without it nobody knows what the run was."
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's takes a tenth of the time, where it is there


@dataclass(frozen=True)
class RecordedRun:
    """A run folder that was read.

    Attributes:
        path: The folder.
        config: Its resolved configuration; of a run that was resumed, that of the latest resume.
        results: Its results.json; empty = the run has not ended with a test.
        begun_with: The configuration that a run began with which was resumed; None = it was not.
    """

    path: Path
    config: Mapping[str, Any]
    results: Mapping[str, Any] = field(default_factory=dict)
    begun_with: Mapping[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether it has ended with a test."""
        return bool(self.results)

    @property
    def method(self) -> str:
        """Class of its method."""
        class_path = str((self.config.get("model") or {}).get("class_path", ""))
        return str(self.results.get("method") or plain_text(class_path.rpartition(".")[2]) or "?")

    @property
    def data(self) -> str:
        """Name of its data set."""
        return str(self.results.get("data") or "?")

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.results.get("seed", self.config.get("seed_everything", 0)))

    @property
    def used_truth(self) -> bool:
        """Whether its method reads image-level identities; of a run that has not finished it is not known: False."""
        return bool(self.results.get("used_truth", False))

    @property
    def learns_from(self) -> str:
        """What its method reads of the training data besides images, such as `bag labels`."""
        unknown = "true identities" if self.used_truth else "not recorded"  # as before it was written down
        return str(self.results.get("learns_from") or unknown)

    @property
    def hashes(self) -> Mapping[str, str]:
        """Content hashes of what it learned from: `data`, `bags`; of a run that has not finished, as it began.

        Raises:
            DataError: What it began with is damaged.
        """
        return dict(
            self.results["hashes"] if "hashes" in self.results else read_provenance(self.path).get("hashes", {})
        )

    @property
    def definition(self) -> Mapping[str, str | int]:
        """What its figures mean."""
        return dict(self.results.get("definition", {}))

    @property
    def figures(self) -> Mapping[str, Any]:
        """The row of its last checkpoint in results.json: shares in 0..1, None = not known; empty = not finished."""
        rows = self.results.get("rows") or [{}]
        return dict(rows[0])

    @cached_property
    def retrieval(self) -> RetrievalResult | None:
        """Its test; None = it has none.

        Raises:
            FeatureError: The file is damaged.
        """
        from wsreid.retrieval.result import RetrievalResult

        path = self.path / RETRIEVAL_FILE
        return RetrievalResult.load(path) if path.is_file() else None

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """metrics.csv: a row each time that something was logged, columns `epoch`, `step` and a metric each.

        Raises:
            DataError: The file is damaged.
        """
        path = self.path / METRICS_FILE
        table = _table(path)
        words = [str(name) for name, kind in table.dtypes.items() if len(table) and kind.kind not in "biuf"]
        if words or (len(table.columns) and not {"epoch", "step"} <= set(table.columns)):
            wrong = f"{words[0]} holds what is no number" if words else "epoch or step is missing"
            raise DataError(f"{path}: damaged: {wrong}.")
        return table

    @cached_property
    def diagnostics(self) -> pd.DataFrame:
        """diagnostics.csv: a row for each epoch and group of bags; empty = the method or the data has none.

        Raises:
            DataError: The file is damaged.
        """
        path = self.path / DIAGNOSTICS_FILE
        table = _table(path)
        if len(table.columns) and not {"epoch", "group"} <= set(table.columns):
            raise DataError(f"{path}: damaged: epoch or group is missing.")
        return table

    def curve(self, metric: str) -> pd.DataFrame:
        """A metric over the epochs.

        Args:
            metric: Column of metrics.csv, such as `val/mAP_step`.

        Returns:
            Columns `epoch`, `step`, `value`; the last value of each epoch. Empty where it was never logged.

        Raises:
            DataError: The file is damaged.
        """
        import pandas as pd

        table = self.metrics
        if metric not in table:
            return pd.DataFrame({"epoch": [], "step": [], "value": []})
        found = table[["epoch", "step", metric]].dropna().rename(columns={metric: "value"})
        return found.groupby("epoch", as_index=False).last()


def read_run(path: Path) -> RecordedRun:
    """Reads a run folder.

    Args:
        path: The folder.

    Returns:
        The run.

    Raises:
        DataError: It is no run folder, or a file in it is damaged.
    """
    if not (path / CONFIG_FILE).is_file():
        raise DataError(f"{path}: no run folder: there is no {CONFIG_FILE} in it.")
    config = _config(path / CONFIG_FILE)
    resumed = _config(path / RESUMED_FILE) if (path / RESUMED_FILE).is_file() else None
    results = _results(path / RESULTS_FILE) if (path / RESULTS_FILE).is_file() else {}
    return RecordedRun(path, config, results) if resumed is None else RecordedRun(path, resumed, results, config)


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Run folders among folders and below them.

    Args:
        paths: Run folders, or folders that hold some at any depth.

    Returns:
        Them, each once, in the order given and then by name. A run's own folders are not looked into, nor are links
        and folders whose name begins with a dot. A folder that holds a run's results or checkpoints without its
        configuration is among them, so that whoever reads it can say that it is none.

    Raises:
        DataError: A path does not exist, cannot be read, or holds no run.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: there is no such file or folder.")
        try:
            inside = list(_below(path))
        except OSError as error:
            raise DataError(f"{error.filename}: cannot be read ({error.strerror}).") from error
        if not inside:
            raise DataError(f"{path}: no run in it: a run folder holds a {CONFIG_FILE}.")
        for run in inside:
            found.setdefault(run.resolve(), run)
    return list(found.values())


def _below(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return
    if (path / CONFIG_FILE).is_file():
        yield path
        return
    left = (path / RESULTS_FILE, path / RETRIEVAL_FILE, *sorted((path / CHECKPOINTS).glob("*.ckpt")))
    if any(file.is_file() for file in left):
        yield path
    for child in sorted(path.iterdir()):
        if not child.is_symlink() and not child.name.startswith("."):
            yield from _below(child)


def _config(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    except (OSError, ValueError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())
        raise DataError(f"{path}: cannot be read ({told}). {_RESTORE}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: it holds no names and values, so it is no configuration of a run. {_RESTORE}")
    for name, kind, what in (
        ("model", dict, "a method"),
        ("data", dict, "a data set"),
        ("seed_everything", int, "one"),
    ):
        if not isinstance(content.get(name, kind()), kind):
            raise DataError(f"{path}: {name} is not {what}, so it is no configuration of a run.")
    return content


def _results(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Test the run again to make it.") from error
    kinds: dict[str, type] = {"rows": list, "hashes": dict, "definition": dict, "seed": int, "labelled_val_ids": int}
    kinds |= {"notes": list, "versions": dict}
    if not isinstance(content, dict) or not content.get("rows"):
        raise DataError(f"{path}: damaged: it holds no rows. Test the run again to make it.")
    wrong = [name for name, kind in kinds.items() if not isinstance(content.get(name, kind()), kind)]
    if wrong or not all(isinstance(row, dict) for row in content["rows"]):
        raise DataError(f"{path}: damaged: see {wrong[0] if wrong else 'rows'}. Test the run again to make it.")
    return dict(plain_text(content))


def _table(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        return pd.DataFrame()
    try:
        text = path.read_text(encoding="utf-8")
        return pd.read_csv(io.StringIO(text[: text.rfind("\n") + 1]))  # a crash may have cut the last line short
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: cannot be read as a table ({error}).") from error
