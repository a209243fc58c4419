"""`python -m wsreid study FILE`: methods x seeds x bag settings, each a run of its own, and a table at the end."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from wsreid.cli.study_check import check_runs
from wsreid.cli.study_progress import Progress, Stop
from wsreid.cli.study_tasks import Comparing, Task, Tuning
from wsreid.cli.typo import explain, option_names
from wsreid.errors import ConfigError, WsreidError
from wsreid.study.carry_out import Outcome, carry_out, forget
from wsreid.study.claims import at_work
from wsreid.study.comparison import Comparison
from wsreid.study.plan import PlannedRun, start_run, todo
from wsreid.study.processes import cores
from wsreid.study.records import Key
from wsreid.study.study_file import Study, read_study
from wsreid.study.sweep import write_sweep
from wsreid.study.tuning import Tuned

_STATES = {"done": "recorded", "finished": "to record", "resume": "to resume", "new": "to run"}


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished `study`.

    Attributes:
        results: Its tables; of a tuning its best trials.
        outcomes: The runs that were carried out.
        files: What was written.
    """

    results: Sequence[Comparison | Tuned]
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
    if options.only and options.again:
        raise ConfigError("--only and --again: give one of them; --again METHOD runs these methods alone, anew.")
    if options.jobs < 1:
        raise ConfigError(f"--jobs {options.jobs}: expected at least 1.")
    kind = Comparing if study.tune is None else Tuning
    task: Task = kind(study, options.out, options.results)
    if options.sweep is not None:
        return _sweep(study, task, options.sweep)
    chosen = _chosen(study, task.runs, options.again or options.only)
    recorded = task.recorded()
    if options.again:
        keys = {each.key for each in chosen}
        recorded = {key: digest for key, digest in recorded.items() if key not in keys}
    left = [each for each in chosen if todo(each, recorded) not in ("done", "finished")]
    if options.dry_run:
        _show_plan(chosen, recorded, anew=bool(options.again))
        check_runs(_with_start(study, options.out, chosen))
        return Finished([], (), ())
    outcomes: list[Outcome] = []
    stop = Stop()
    if not options.table:
        check_runs(_with_start(study, options.out, left) if left else [])
        if options.again:
            forget(chosen)
            task.drop(keys)
        if any(todo(each, recorded) != "done" for each in chosen):
            _make_start(start_run(study, options.out), options.jobs, stop)
        outcomes = _carry_out(study.name, task, chosen, recorded, options.jobs, stop)
    results, files = task.close()
    for file in files:
        print(f"Written: {file}")
    _end(outcomes, stop)
    return Finished(results, tuple(outcomes), tuple(files))


def _with_start(study: Study, out: Path, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    start = start_run(study, out)
    return [*runs] if start is None else [start, *runs]


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
    what = "Write a W&B sweep of the same runs, and run nothing."
    parser.add_argument("--sweep", type=Path | None, default=None, metavar="FILE", help=what)
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


def _chosen(study: Study, runs: Sequence[PlannedRun], names: Sequence[str]) -> list[PlannedRun]:
    labels = {entry.label for entry in study.methods if entry.label in names or entry.method in names}
    return [each for each in runs if not names or each.label in labels]


def _sweep(study: Study, task: Task, path: Path) -> Finished:
    if study.tune is not None:
        raise ConfigError(
            "--sweep: a tuning study scores short runs and picks by itself; sweep the comparison instead."
        )
    files = write_sweep(study, task.runs, path)
    print(f"Written: {path} and {len(files) - 1} configurations beside it. Start it: wandb sweep {path}")
    return Finished([], (), tuple(files))


def _show_plan(runs: Sequence[PlannedRun], recorded: Mapping[Key, str], *, anew: bool) -> None:
    for each in runs:
        what = "new" if anew else todo(each, recorded)  # `--again` removes what is there first
        changed = ", its configuration has changed" if recorded.get(each.key, each.hash) != each.hash else ""
        print(f"{each.name}: {_STATES[what]}{changed}\n    {each.shown(resume=what == 'resume')}")
    left = sum(todo(each, recorded) != "done" for each in runs)
    print(f"{len(runs)} runs, {left} of them to run.")


def _make_start(each: PlannedRun | None, jobs: int, stop: Stop) -> None:
    if each is None or (todo(each, {}) == "finished" and not at_work(each)):
        return
    threads = max(1, cores() // jobs)  # as many as the others have: another number rounds differently
    print(f"First the run that all others start from: {each.shown(resume=todo(each, {}) == 'resume')}", flush=True)
    with stop.listening():
        outcomes = list(
            carry_out(
                [each], {}, at_once=1, threads=threads, record=lambda run: str(run.folder), stop=stop.asked, say=_say
            )
        )
    _end(outcomes, stop)


def _carry_out(
    name: str, task: Task, runs: Sequence[PlannedRun], recorded: Mapping[Key, str], jobs: int, stop: Stop
) -> list[Outcome]:
    for each in runs:
        if recorded.get(each.key, each.hash) != each.hash:
            print(f"{each.name}: its configuration has changed since it was recorded, so it runs again.")
    left = [each for each in runs if todo(each, recorded) != "done"]
    print(f"{name}: {len(runs)} runs, {len(runs) - len(left)} recorded already.", flush=True)
    threads = max(1, cores() // jobs)
    outcomes = []

    def record(each: PlannedRun) -> str:
        return task.record(each, threads)

    with stop.listening(), Progress(len(left), jobs) as progress:
        for outcome in carry_out(
            left, recorded, at_once=jobs, threads=threads, record=record, stop=stop.asked, say=progress.say
        ):
            outcomes.append(outcome)
            progress.ended(outcome)
    return outcomes


def _say(text: str) -> None:
    print(text, flush=True)


def _end(outcomes: Sequence[Outcome], stop: Stop) -> None:
    if stop.asked():
        print("Interrupted. What has finished is recorded; the same command goes on from here.")
        raise SystemExit(130)
    problems = [outcome.problem for outcome in outcomes if outcome.problem is not None]
    if problems:
        raise WsreidError(f"{len(problems)} of {len(outcomes)} runs failed.\n" + "\n".join(problems))
