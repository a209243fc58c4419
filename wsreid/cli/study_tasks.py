"""The two things that a study does: it compares methods, or it tunes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from wsreid.study.comparison import Comparison, compare
from wsreid.study.pages import shown_in
from wsreid.study.plan import PlannedRun, planned_runs
from wsreid.study.records import Key, Records, has_failed, record_of, write_text
from wsreid.study.study_file import Study
from wsreid.study.table import csv_table, definition, failure, markdown, remarks, terminal_table
from wsreid.study.trial_records import BEST_FILE, TrialRecords, trial_record_of
from wsreid.study.tuning import Tuned, best_trials, planned_trials
from wsreid.study.tuning_table import best_yaml, tuning_definition, tuning_markdown, tuning_terminal_table
from wsreid.terminal import Console


class Task(Protocol):
    """What to run, how to record it, and what to show in the end."""

    runs: Sequence[PlannedRun]

    def recorded(self) -> dict[Key, str]:
        """Hash of each recorded run."""

    def record(self, run: PlannedRun, threads: int) -> str:
        """Records a run that has ended well, and says what it has found."""

    def drop(self, keys: Collection[Key]) -> None:
        """Forgets records."""

    def close(self) -> tuple[Sequence[Comparison | Tuned], list[Path]]:
        """Writes and shows the tables; gives their content and their files."""


def pages_beside(results: Path) -> list[Path]:
    """The pages that may show tables: RESULTS.md beside the folder of the records, README.md of the current folder."""
    return [results.parent / "RESULTS.md", Path("README.md")]


class Comparing:
    """A comparison.

    Args:
        study: The study.
        out: Folder of the run folders.
        results: Folder of the records of all studies.
    """

    def __init__(self, study: Study, out: Path, results: Path) -> None:
        self._study = study
        self._records = Records(results / study.name)
        self._pages = pages_beside(results)
        self.runs: Sequence[PlannedRun] = planned_runs(study, out)

    def recorded(self) -> dict[Key, str]:
        """Hash of each recorded run."""
        return {key: record.hash for key, record in self._records.load().items()}

    def record(self, run: PlannedRun, threads: int) -> str:
        """Records a run; gives its figures."""
        record = record_of(run, threads=threads)
        self._records.add(record)
        shown = {name: record.numbers[name] or 0 for name in ("mAP_step", "R1")}
        peak = record.numbers["peak_mib"]
        memory = "its cost is not known, as a go was not seen to its end" if peak is None else f"{peak:.0f} MiB"
        return f"mAP {shown['mAP_step']:.1f}, R1 {shown['R1']:.1f}, {memory}"

    def drop(self, keys: Collection[Key]) -> None:
        """Forgets records."""
        self._records.drop(keys)

    def close(self) -> tuple[Sequence[Comparison], list[Path]]:
        """Writes and shows tables and curves."""
        failed = [run.key for run in self.runs if has_failed(run)]
        tables = compare(self._study, self.runs, self._records.load(), failed)
        if not any(table.lines for table in tables):
            print(f"No run of {self._study.name} is recorded yet, so there is no table.")
            for table in tables:
                if table.failed:
                    print(f"{table.setting}: {failure(table)}")
            return tables, []
        folder = self._records.folder
        texts = {"table.md": markdown(self._study, tables), "table.csv": csv_table(self._study, tables)}
        files = _written(folder, texts) + self._curves(tables)
        files += shown_in(self._pages, self._study.name, texts["table.md"])
        console = _console()
        for table in tables:
            if table.lines:
                console.print(terminal_table(self._study, table))
            for note in remarks(self._study, table):
                console.print(note, highlight=False)
            console.print()
        console.print(definition(self._study), highlight=False)
        return tables, files

    def _curves(self, tables: Sequence[Comparison]) -> list[Path]:
        from wsreid.study.curves import curves_figure  # matplotlib and torch: not while runs are measured

        figure = curves_figure(self._study, tables)
        if figure is None:
            return []
        from wsreid.tracking.figure_files import save_figure

        return list(save_figure(figure, self._records.folder, "curves"))


class Tuning:
    """A tuning.

    Args:
        study: A study that tunes.
        out: Folder of the run folders.
        results: Folder of the records of all studies.
    """

    def __init__(self, study: Study, out: Path, results: Path) -> None:
        assert study.tune is not None
        self._study = study
        self._metric = study.tune.metric
        self._records = TrialRecords(results / study.name)
        self._pages = pages_beside(results)
        self.runs: Sequence[PlannedRun]
        self.runs, self._trials = planned_trials(study, out)

    def recorded(self) -> dict[Key, str]:
        """Hash of each recorded run."""
        return {key: record.hash for key, record in self._records.load().items()}

    def record(self, run: PlannedRun, threads: int) -> str:
        """Records a trial; gives its score."""
        assert run.trial is not None
        record = trial_record_of(run, self._trials[run.label][run.trial].options, self._metric)
        self._records.add(record)
        self._write_best()
        return f"{self._metric} {100 * record.score:.1f}"

    def drop(self, keys: Collection[Key]) -> None:
        """Forgets trials."""
        self._records.drop(keys)

    def close(self) -> tuple[Sequence[Tuned], list[Path]]:
        """Writes and shows the best trials."""
        records = self._records.load()
        if not records:
            print(f"No trial of {self._study.name} is recorded yet, so there is no table.")
            return [], []
        tuned, best = self._write_best()
        table = tuning_markdown(self._study, tuned, records)
        files = _written(self._records.folder, {"table.md": table})
        files += shown_in(self._pages, self._study.name, table)
        console = _console()
        console.print(tuning_terminal_table(self._study, tuned))
        console.print(tuning_definition(self._study), highlight=False)
        return tuned, [best, *files]

    def _write_best(self) -> tuple[list[Tuned], Path]:
        tuned = best_trials(self._study, self.runs, self._trials, self._records.load())
        path = self._records.folder / BEST_FILE
        write_text(path, best_yaml(self._study, tuned))
        return tuned, path


def _written(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=180)
