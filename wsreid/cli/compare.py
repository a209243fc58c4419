"""`python -m wsreid compare RUN_OR_FOLDER ...`: runs side by side, from their files alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser

from wsreid.cli.bar import bar
from wsreid.cli.typo import explain, option_names
from wsreid.errors import ConfigError, DataError

if TYPE_CHECKING:
    from wsreid.tracking.compared_runs import ComparedRuns, ComparedTable

Format = Literal["terminal", "md", "csv", "json"]


@dataclass(frozen=True, eq=False)
class Compared:
    """A finished `compare`.

    Attributes:
        found: The comparison.
    """

    found: ComparedRuns

    @property
    def results(self) -> Sequence[ComparedTable]:
        """Its tables."""
        return self.found.tables


def run(args: list[str]) -> Compared:
    """Runs the command: prints the comparison.

    Args:
        args: The command line behind `compare`.

    Returns:
        What was found.

    Raises:
        WsreidError: Something that the user can mend; also that no run can be compared.
        SystemExit: Help was asked for, and is shown.
    """
    options = _parse(args)
    kind: Format = options.format
    # Behind the parser, so that --help and a typo need no torch.
    from wsreid.tracking.compared_runs import compare_folders
    from wsreid.tracking.comparison_table import csv_table, json_table, left_out, markdown

    with bar("comparing"):
        found = compare_folders(options.runs, options.baseline)
    if not found.tables:
        reasons = "\n".join(f"  {line}" for line in left_out(found))
        raise DataError(
            f"nothing to compare: none of {len(found.left_out)} run folders holds a finished run.\n{reasons}"
        )
    if kind == "terminal":
        _show(found)
    else:
        print({"md": markdown, "csv": csv_table, "json": json_table}[kind](found))
    if kind == "csv":
        _warn(found)
    return Compared(found)


def _parse(args: list[str]) -> Any:  # noqa: ANN401  # a namespace
    parser = ArgumentParser(
        prog="python -m wsreid compare",
        description="Runs side by side, from the files in their folders: grouped over seeds, with intervals and a "
        "paired test. Runs whose figures mean other things are kept apart.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    what = "Run folders, or folders that hold some at any depth."
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN_OR_FOLDER", help=what)
    what = "Test the others against this one: a method, a label of the table, or one of its run folders."
    parser.add_argument("--baseline", type=str | None, default=None, metavar="NAME", help=what)
    parser.add_argument("--format", type=Format, default="terminal", help="Of what is printed.")
    try:
        return parser.parse_args(args)
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {}, ["runs"])) from None


def _show(found: ComparedRuns) -> None:
    from wsreid.terminal import Console
    from wsreid.tracking.comparison_table import (
        LEFT_OUT_IF_NARROW,
        WIDE,
        definition,
        differences,
        left_out,
        terminal_table,
        terms_line,
    )

    console = Console()
    console = console if console.is_terminal else Console(width=120)

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, highlight=False)

    for warning in differences(found):
        say(warning, "bold")
    for table in found.tables:
        say("")
        console.print(terminal_table(table, console.width))
        for note in (*table.notes, terms_line(table)):
            say(note)
    if console.width < WIDE:
        say(f"Not shown in a narrow terminal: {', '.join(LEFT_OUT_IF_NARROW)}. --format md shows all.")
    say("")
    say(definition(found))
    for line in left_out(found):
        say(f"Left out: {line}")


def _warn(found: ComparedRuns) -> None:
    """What a CSV has no place for, on stderr."""
    from wsreid.terminal import Console
    from wsreid.tracking.comparison_table import differences, left_out

    console = Console(stderr=True)
    notes = [f"Table {number}: {note}" for number, table in enumerate(found.tables, 1) for note in table.notes]
    for line in (*differences(found), *notes, *(f"Left out: {line}" for line in left_out(found))):
        console.print(line, highlight=False, soft_wrap=True)
