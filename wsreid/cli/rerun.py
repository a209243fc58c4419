"""`python -m wsreid rerun RUN`: does a run again from what it recorded, and says whether it finds the same."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from wsreid.cli.typo import explain, option_names
from wsreid.errors import ConfigError, DataError

if TYPE_CHECKING:
    from wsreid.tracking.recorded_run import RecordedRun
    from wsreid.tracking.repeated_run import Difference


@dataclass(frozen=True, eq=False)
class Rerun:
    """A run that was done again and found the same.

    Attributes:
        path: Its folder.
        results: What differs without having changed a number, such as a version.
    """

    path: Path
    results: Sequence[Difference]


def run(args: list[str]) -> Rerun:
    """Runs the command.

    Args:
        args: The command line behind `rerun`.

    Returns:
        The run that was done again.

    Raises:
        WsreidError: Something that the user can mend.
        SystemExit: Help was asked for, and is shown; or, with code 1, a number differs.
    """
    options = _parse(args)
    # late: `--help` needs none of them
    from wsreid.cli.suite import run as run_suite
    from wsreid.tracking.provenance import read_provenance
    from wsreid.tracking.recorded_run import RESUMED_FILE, read_run
    from wsreid.tracking.repeated_run import differences
    from wsreid.tracking.run_folder import CONFIG_FILE

    first = read_run(options.run)
    facts = read_provenance(first.path)
    _check(first, facts.get("command", "fit"))
    out = options.out or first.path.with_name(f"{first.path.name}-rerun")
    if out.exists():
        raise ConfigError(f"{out} is there already. Choose another folder with --out DIR")
    resumed = first.begun_with is not None
    config = first.path / (RESUMED_FILE if resumed else CONFIG_FILE)
    words = ["fit", "--config", str(config), "--run", str(out), "--wandb.mode", "disabled"]
    words += ["--ckpt_path", "null"] * resumed  # in one go, with the options of the latest
    with _threads(facts.get("threads")):
        run_suite(words)
    found = differences(first, read_run(out))
    _show(first, out, found)
    if any(each.kind != "made of" for each in found):
        raise SystemExit(1)
    return Rerun(out, found)


def _parse(args: list[str]) -> Any:  # noqa: ANN401  # a namespace
    parser = ArgumentParser(
        prog="python -m wsreid rerun",
        description="Trains a run again, from the configuration, the seed and with the number of threads that it "
        "recorded, and compares curve and results number by number. What it was made of (versions, commit, hashes of "
        "data, bags and starting weights, machine) comes first where it differs. Exit code 1 = a number differs.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="Run folder of a fit.")
    what = "New run folder; by default RUN-rerun beside it."
    parser.add_argument("--out", type=Path | None, default=None, metavar="DIR", help=what)
    try:
        return parser.parse_args(args)
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {}, ["run"])) from None


def _check(first: RecordedRun, command: str) -> None:
    if command != "fit":
        raise ConfigError(f"{first.path} is a {command}: name the folder of the fit.")
    if not len(first.metrics.columns):
        raise DataError(f"{first.path}: there is no curve in it to compare with: the run ended before its first epoch.")


@contextlib.contextmanager
def _threads(recorded: int | None) -> Iterator[None]:
    """Another number of threads adds in another order, and rounds differently."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(recorded or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _show(first: RecordedRun, second: Path, found: Sequence[Difference]) -> None:
    from rich.table import Table

    from wsreid.terminal import Console

    console = Console()
    console = console if console.is_terminal else Console(width=160)
    if found:
        table = Table(title=f"What differs from {first.path}", title_justify="left")
        for head in ("", "name", "run", "again"):
            table.add_column(head, overflow="fold")
        for each in found:
            table.add_row(each.kind, each.name, each.first, each.second)
        console.print(table)
    unequal = sum(each.kind != "made of" for each in found)
    resumed = " It was resumed; this go was not." if first.begun_with is not None else ""
    ended = "" if first.finished else " It has not ended with a test, so its curve alone was compared."
    verdict = f"{unequal} differ" if unequal else "each number of its curve and results is the same"
    console.print(f"{second}, {first.path} again: {verdict}.{resumed}{ended}", highlight=False, soft_wrap=True)
