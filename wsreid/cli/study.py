"""`python -m wsreid study FILE`: methods x seeds x bag settings, each a run of its own, and a table at the end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from rich.console import Console

from wsreid.cli.study_progress import Progress, Stop
from wsreid.cli.typo import explain, option_names
from wsreid.errors import ConfigError, WsreidError
from wsreid.study.carry_out import Outcome, carry_out, forget
from wsreid.study.comparison import Comparison, compare
from wsreid.study.plan import PlannedRun, planned_runs, todo
from wsreid.study.processes import cores
from wsreid.study.records import Key, Records, record_of, write_text
from wsreid.study.study_file import Study, read_study
from wsreid.study.table import csv_table, definition, markdown, remarks, terminal_table

_STATES = {"done": "recorded", "finished": "to record", "resume": "to resume", "new": "to run"}


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished `study`.

    Attributes:
        results: Its tables.
        outcomes: The runs that were carried out.
        files: What was written.
    """

    results: Sequence[Comparison]
    outcomes: tuple[Outcome, ...]
    files: tuple[Path, ...]


def run(args: list[str]) -> Finished:
    """Runs the command.

    Args:
        args: The command line behind `study`.

    Returns:
        What was found.

    Raises:
        WsreidError: Something that the user can mend; also that runs have failed, after all others and the table.
        SystemExit: Help was asked for, and is shown; or the study was interrupted.
    """
    options = _parse(args)
    study = read_study(options.study)
    _check_labels(study, options.only, "--only")
    _check_labels(study, options.again, "--again")
    if options.jobs < 1:
        raise ConfigError(f"--jobs {options.jobs}: expected at least 1.")
    runs = planned_runs(study, options.out)
    records = Records(options.results / study.name)
    known = records.load()
    recorded = {key: record.hash for key, record in known.items()}
    chosen = [each for each in runs if _chosen(study, each, options.only or options.again)]
    if options.again:
        recorded = {key: digest for key, digest in recorded.items() if key not in {each.key for each in chosen}}
    if options.dry_run:
        _show_plan(chosen, recorded)
        return Finished([], (), ())
    outcomes: list[Outcome] = []
    stop = Stop()
    if not options.table:
        if options.again:
            forget(chosen)
            records.drop({each.key for each in chosen})
        outcomes = _carry_out(study, chosen, recorded, records, options.jobs, stop)
    tables, files = _close(study, runs, records)
    _end(outcomes, stop)
    return Finished(tables, tuple(outcomes), tuple(files))


def _parse(args: list[str]) -> Any:  # noqa: ANN401  # a namespace
    parser = ArgumentParser(
        prog="python -m wsreid study",
        description="A comparison: methods x seeds x bag settings, each a run of its own, and a table at the end. "
        "What is recorded is not run again, what was begun goes on.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("study", type=Path, metavar="FILE", help="The study, such as experiments/studies/smoke.yaml.")
    parser.add_argument("--jobs", type=int, default=1, help="Runs at a time; they share the cores.")
    parser.add_argument("--out", type=Path, default=Path("runs/studies"), metavar="DIR", help="Folder of run folders.")
    what = "Folder of the records and tables, to be committed."
    parser.add_argument("--results", type=Path, default=Path("experiments/results"), metavar="DIR", help=what)
    what = "Run these alone; labels, or names of their files."
    parser.add_argument("--only", nargs="+", type=str, default=[], metavar="METHOD", help=what)
    what = "Run these anew, and replace their records: their code has changed."
    parser.add_argument("--again", nargs="+", type=str, default=[], metavar="METHOD", help=what)
    parser.add_argument("--dry_run", action="store_true", help="Show what would be run, and run nothing.")
    parser.add_argument("--table", action="store_true", help="Make the tables from the records, and run nothing.")
    try:
        return parser.parse_args(args)
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {}, ["study"])) from None


def _check_labels(study: Study, given: Sequence[str], option: str) -> None:
    known = {name for entry in study.methods for name in (entry.label, entry.method)}
    for name in given:
        if name not in known:
            labels = ", ".join(entry.label for entry in study.methods)
            raise ConfigError(f"{option} {name}: the study has no such method. It has {labels}.")


def _chosen(study: Study, run: PlannedRun, only: Sequence[str]) -> bool:
    names = {entry.label: entry.method for entry in study.methods}
    return not only or run.label in only or names[run.label] in only


def _show_plan(runs: Sequence[PlannedRun], recorded: dict[Key, str]) -> None:
    for each in runs:
        state = _STATES[todo(each, recorded)]
        changed = ", its configuration has changed" if recorded.get(each.key, each.hash) != each.hash else ""
        print(f"{each.name}: {state}{changed}\n    {each.shown()}")
    left = sum(todo(each, recorded) != "done" for each in runs)
    print(f"{len(runs)} runs, {left} of them to run.")


def _carry_out(
    study: Study, runs: Sequence[PlannedRun], recorded: dict[Key, str], records: Records, jobs: int, stop: Stop
) -> list[Outcome]:
    for each in runs:
        if recorded.get(each.key, each.hash) != each.hash:
            print(f"{each.name}: its configuration has changed since it was recorded, so it runs again.")
    left = [each for each in runs if todo(each, recorded) != "done"]
    print(f"{study.name}: {len(runs)} runs, {len(runs) - len(left)} recorded already.", flush=True)
    threads = max(1, cores() // jobs)
    outcomes = []

    def record(each: PlannedRun) -> None:
        records.add(record_of(each, threads=threads))

    with stop.listening(), Progress(len(left), jobs) as progress:
        for outcome in carry_out(left, recorded, at_once=jobs, threads=threads, record=record, stop=stop.asked):
            outcomes.append(outcome)
            progress.ended(outcome, _figures(records, outcome.run))
    return outcomes


def _figures(records: Records, run: PlannedRun) -> str:
    found = records.load().get(run.key)
    if found is None or found.hash != run.hash:
        return ""
    numbers = found.numbers
    return f"mAP {numbers['mAP_step'] or 0:.1f}, R1 {numbers['R1'] or 0:.1f}, {numbers['peak_mib'] or 0:.0f} MiB"


def _close(study: Study, runs: Sequence[PlannedRun], records: Records) -> tuple[list[Comparison], list[Path]]:
    tables = compare(study, runs, records.load())
    if not any(table.lines for table in tables):
        print(f"No run of {study.name} is recorded yet, so there is no table.")
        return tables, []
    files = [records.folder / "table.md", records.folder / "table.csv"]
    write_text(files[0], markdown(study, tables))
    write_text(files[1], csv_table(study, tables))
    from wsreid.study.curves import curves_figure  # matplotlib: not while runs are measured

    figure = curves_figure(study, tables)
    if figure is not None:
        from wsreid.tracking.figure_files import save_figure

        files += save_figure(figure, records.folder, "curves")
    console = Console()
    console = console if console.is_terminal else Console(width=180)
    for table in tables:
        if table.lines:
            console.print(terminal_table(study, table))
        for note in remarks(study, table):
            console.print(note, highlight=False, markup=False)
        console.print()
    console.print(definition(study), highlight=False, markup=False)
    for file in files:
        console.print(f"Written: {file}", highlight=False, markup=False, soft_wrap=True)
    return tables, files


def _end(outcomes: Sequence[Outcome], stop: Stop) -> None:
    if stop.asked():
        print("Interrupted. What has finished is recorded; the same command goes on from here.")
        raise SystemExit(130)
    problems = [outcome.problem for outcome in outcomes if outcome.problem is not None]
    if problems:
        raise WsreidError(f"{len(problems)} of {len(outcomes)} runs failed.\n" + "\n".join(problems))
