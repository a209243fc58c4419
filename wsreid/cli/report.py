"""`python -m wsreid report`: runs beside each other in one HTML file that opens without a network."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jsonargparse import ArgumentParser
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from wsreid.cli.typo import explain, option_names
from wsreid.errors import ConfigError
from wsreid.terminal import Console

_MARK: Final = b'<meta name="generator" content="wsreid report">'  # as the template has it


@dataclass(frozen=True, eq=False)
class Written:
    """A finished `report`.

    Attributes:
        file: The page.
        runs: The run folders that it shows.
        remarks: What could not be shown.
    """

    file: Path
    runs: tuple[Path, ...]
    remarks: tuple[str, ...]

    @property
    def results(self) -> Sequence[Path]:
        """The run folders."""
        return self.runs


@dataclass(frozen=True, eq=False)
class Sent:
    """A finished `report --wandb`.

    Attributes:
        url: Address of the report.
        runs: The run folders that it is about; empty = all fits of the project.
    """

    url: str
    runs: tuple[Path, ...]

    @property
    def results(self) -> Sequence[Path]:
        """The run folders."""
        return self.runs


def run(args: list[str]) -> Written | Sent:
    """Runs the command.

    Args:
        args: The command line behind `report`.

    Returns:
        What was written.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    options = _parse(args)
    if options.wandb:
        return _send(options)
    for name in ("project", "entity"):
        if getattr(options, name) is not None:
            raise ConfigError(f"--{name} {getattr(options, name)}: it is for a report in W&B. Add --wandb.")
    if not options.runs:
        raise ConfigError("Missing: RUNS, the run folders or folders that hold some.")
    for name, least in (("queries", 1), ("bags", 0)):
        if getattr(options, name) < least:
            raise ConfigError(f"--{name} {getattr(options, name)}: expected at least {least}.")
    if options.out.is_dir():
        raise ConfigError(f"--out {options.out}: it is a folder. Name a file in it, such as report.html.")
    if options.out.exists() and not _is_report(options.out):
        raise ConfigError(
            f"--out {options.out}: there is such a file, and it is no report. Name another, or remove it."
        )
    # late: these load plotly, torch and Lightning, and `--help` needs none of them
    from wsreid.cli.quiet import quiet
    from wsreid.data.cache import write_atomically
    from wsreid.report import ReportSettings, make_report
    from wsreid.tracking.recorded_run import find_runs

    paths = find_runs(options.runs)
    settings = ReportSettings(options.queries, options.bags, options.baseline)
    with quiet(), _bars() as begin:
        made = make_report(paths, settings, begin)
    write_atomically(options.out, lambda partial: _write(partial, made.html))
    console = Console()
    size = options.out.stat().st_size / 1e6
    lines = [
        *made.remarks,
        f"Written: {options.out} ({size:.1f} MB, {made.runs} of {len(paths)} runs, {made.images} images)",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)
    return Written(options.out, tuple(paths), made.remarks)


def _send(options: Any) -> Sent:  # noqa: ANN401  # a namespace
    from wsreid.cli.quiet import quiet
    from wsreid.report.wandb_report import save_report, scope_of_runs
    from wsreid.tracking.recorded_run import find_runs

    paths = find_runs(options.runs)
    with quiet():
        url = save_report(scope_of_runs(paths, options.project, options.entity))
    Console().print(f"Saved in W&B: {url}", highlight=False, soft_wrap=True)
    return Sent(url, tuple(paths))


def _parse(args: list[str]) -> Any:  # noqa: ANN401  # a namespace
    parser = ArgumentParser(
        prog="python -m wsreid report",
        description="Runs beside each other in one HTML file that opens without a network: curves, the comparison with "
        "intervals, ranked lists, bags with their pseudo labels, and the options that differ.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    what = "Run folders, or folders that hold some at any depth."
    parser.add_argument("runs", type=Path, nargs="*", default=[], metavar="RUNS", help=what)
    what = "The file; an earlier report is replaced, any other file is refused."
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help=what)
    what = "Queries to show of each test, at most: those of the lowest mean AP, and others up to the best."
    parser.add_argument("--queries", type=int, default=200, help=what)
    what = "Bags to show with their pseudo labels; 0 = none, and then no checkpoint is loaded."
    parser.add_argument("--bags", type=int, default=3, help=what)
    what = "Experiment that the others are tested against: its label, its method, or a run folder of it."
    parser.add_argument("--baseline", type=str | None, default=None, metavar="NAME", help=what)
    what = "Make a report in W&B of its runs instead, grouped by method; without RUNS of all fits of the project."
    parser.add_argument("--wandb", action="store_true", help=what)
    what = "W&B project; by default that of RUNS, or wsreid."
    parser.add_argument("--project", type=str | None, default=None, metavar="NAME", help=what)
    what = "W&B user or team; by default that of RUNS, or the account's."
    parser.add_argument("--entity", type=str | None, default=None, metavar="NAME", help=what)
    try:
        return parser.parse_args(args)
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {}, ["runs"])) from None


@contextlib.contextmanager
def _bars() -> Iterator[Callable[[str, int], Callable[[], None]]]:
    """A bar for each part of the work, in a terminal alone."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:

        def begin(what: str, steps: int) -> Callable[[], None]:
            task = bars.add_task(what, total=steps, visible=steps > 0)
            return lambda: bars.advance(task)

        yield begin


def _is_report(path: Path) -> bool:
    """Whether a file is a page that this command has written."""
    try:
        with path.open("rb") as file:
            return _MARK in file.read(4096)
    except OSError:
        return False


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
