"""`python -m wsreid prepare`: indexes a data set into a manifest, and says how it differs from the published one."""

from __future__ import annotations

import argparse
import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jsonargparse import ArgumentParser
from rich.table import Table

from wsreid.cli.bar import bar
from wsreid.cli.evaluation_file import check_place
from wsreid.cli.typo import class_options, explain, option_names
from wsreid.data.manifest import Manifest, write_manifest
from wsreid.data.published import PUBLISHED, SplitCount, counted, differences, expected
from wsreid.data.records import Problem
from wsreid.data.sources.base import Source
from wsreid.data.sources.by_name import SOURCES
from wsreid.errors import ConfigError, DataError
from wsreid.terminal import Console

_HELP: Final = ("-h", "--help")
_KINDS: Final = 10
_COMPARED_HERE: Final = ("market1501",)
"""Sources that other sets share the layout of, the rendered one among them: they note no difference themselves."""


@dataclass(frozen=True)
class PreparedSplit:
    """One line of the table.

    Attributes:
        split: `train`, `query` or `gallery`.
        found: Its size.
        published: Its published size; None = nothing is published.
    """

    split: str
    found: SplitCount
    published: SplitCount | None


@dataclass(frozen=True)
class PreparedSet:
    """A finished `prepare`.

    Attributes:
        source: Name of the source.
        manifest: The file that was written.
        splits: The lines of the table.
        notes: What a reader of the results must know, differences from the published sizes among it.
        problems: Files that were left out; where they are many, the first of each kind.
        problem_count: How many were left out.
    """

    source: str
    manifest: Path
    splits: tuple[PreparedSplit, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]
    problem_count: int

    @property
    def results(self) -> Sequence[PreparedSplit]:
        """The lines of the table."""
        return self.splits


def run(args: list[str]) -> PreparedSet:
    """Runs the command: indexes, writes the manifest, prints what was found.

    Args:
        args: The command line behind `prepare`.

    Returns:
        What was found.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    name = args[0] if args else ""
    if name in _HELP:
        print(_help())
        raise SystemExit(0)
    if name not in SOURCES:
        raise ConfigError(_no_source(name))
    source, root, out = _parse(name, args[1:])
    source.require_root(root)
    _check_out(out, root)
    with bar("indexing"):
        records = source.index(root)
    variant = source.variant
    with bar("writing the manifest"):
        write_manifest(out, records, source=source.name, root=source.image_root(root))
    counts, published = counted(records), expected(name, variant)
    more = differences(name, counts, variant) if name in _COMPARED_HERE else []
    prepared = PreparedSet(
        source.name,
        out,
        tuple(PreparedSplit(split, count, published.get(split)) for split, count in counts.items()),
        (*records.notes, *more),
        records.problems,
        records.problem_count,
    )
    _show(prepared)
    return prepared


def _parse(name: str, args: list[str]) -> tuple[Source, Path, Path]:
    kind = SOURCES[name]
    parser = ArgumentParser(
        prog=f"python -m wsreid prepare {name}", description=kind.where, exit_on_error=False, allow_abbrev=False
    )
    parser.add_argument("--config", action="config", help="YAML file with these options.")
    what = "The data set's folder; nothing is written into it."
    parser.add_argument("--root", type=Path, required=True, help=what)
    what = "The manifest to write, such as market1501.arrow; an earlier manifest is replaced, any other file is not."
    parser.add_argument("--out", type=Path, required=True, help=what)
    parser.add_class_arguments(kind, "source", sub_configs=False)
    try:
        parsed: Any = parser.parse_args(args)
    except argparse.ArgumentError as error:
        names = option_names(parser) | class_options(kind, "source")
        raise ConfigError(explain(str(error), args, names, {})) from None
    options = parsed.get("source") or {}
    return (
        kind(**{key: _plain(value) for key, value in vars(options).items()} if options else {}),
        parsed.root,
        parsed.out,
    )


def _plain(value: object) -> object:
    return vars(value) if isinstance(value, argparse.Namespace) else value


def _check_out(out: Path, root: Path) -> None:
    if out.resolve().is_relative_to(root.resolve()):
        raise ConfigError(f"--out {out}: this is inside the data set {root}, which is never written to. Name another.")
    check_place(out, "--out")
    if out.exists():
        try:
            Manifest.open(out)
        except DataError:
            raise ConfigError(
                f"--out {out}: there is such a file, and it is no manifest. Name another, or remove it."
            ) from None


def _show(prepared: PreparedSet) -> None:
    console = Console()
    console = console if console.is_terminal else Console(width=110)
    console.print(_table(prepared))
    if prepared.problems:
        named, count = len(prepared.problems), prepared.problem_count
        part = f" (of these, {named:,} are named and counted here; the notes count the others)" if count > named else ""
        console.print(f"{count:,} files cannot be used and are left out{part}:", highlight=False)
        console.print(_problem_table(prepared.problems))
    for note in prepared.notes:
        console.print(f"Note: {note}", highlight=False, soft_wrap=True)
    remark = PUBLISHED[prepared.source].remark if prepared.source in PUBLISHED else ""
    if remark:
        console.print(f"Published: {remark}.", highlight=False, soft_wrap=True)
    console.print(f"Written: {prepared.manifest}", highlight=False, soft_wrap=True)


def _table(prepared: PreparedSet) -> Table:
    title = PUBLISHED[prepared.source].title if prepared.source in PUBLISHED else prepared.source
    table = Table(title=title, box=None, padding=(0, 2, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("split")
    for head in ("images", "published", "identities", "published"):
        table.add_column(head, justify="right", no_wrap=True)
    for line in prepared.splits:
        published = line.published or SplitCount(None, None)
        numbers = (line.found.images, published.images, line.found.identities, published.identities)
        table.add_row(line.split, *(f"{number:,}" if number is not None else "-" for number in numbers))
    return table


def _problem_table(problems: Sequence[Problem]) -> Table:
    """The problems by kind, the most frequent first."""
    kinds = Counter(problem.reason for problem in problems)
    first: dict[str, str] = {}
    for problem in problems:
        first.setdefault(problem.reason, problem.file)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("files", justify="right", no_wrap=True)
    table.add_column("what is wrong")
    table.add_column("the first", overflow="fold")
    for reason, count in kinds.most_common(_KINDS):
        table.add_row(f"{count:,}", reason, first[reason])
    if rest := kinds.most_common()[_KINDS:]:
        table.add_row(f"{sum(count for _, count in rest):,}", f"{len(rest)} more kinds", "")
    return table


def _no_source(name: str) -> str:
    known = f"Data sets: {', '.join(SOURCES)}."
    if not name or name.startswith("-"):
        return f"Name the data set first: python -m wsreid prepare NAME --root ROOT --out FILE. {known}"
    near = difflib.get_close_matches(name.lower(), SOURCES, 1, 0.5)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    return f"There is no data set '{name}'{hint} {known}"


def _help() -> str:
    return "\n".join(
        [
            "Indexes a data set into a manifest.",
            "",
            "usage: python -m wsreid prepare NAME --root ROOT --out FILE [--source.OPTION VALUE ...]",
            "",
            f"NAME: {', '.join(SOURCES)}",
            "",
            "Options of a data set: python -m wsreid prepare NAME --help",
        ]
    )
