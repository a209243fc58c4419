"""`python -m wsreid weights`: the published checkpoints that `test` can score, and those that it cannot."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser
from rich.table import Table

from wsreid.cli.typo import explain, option_names
from wsreid.errors import ConfigError
from wsreid.terminal import Console

if TYPE_CHECKING:
    from wsreid.models.published_weights import PublishedFormat

WIDTH = 160
NOTES = (
    "A file's format is told by its keys. Classifiers and copies of the normalisation are dropped; every other key "
    "must fit, or nothing is loaded.",
    "Licences are of the projects' code; the data sets of the training often bind weights to research use.",
    "Besides: any network of timm's or Hugging Face's with --model.backbone NAME, and --model.pretrained true or its "
    "own keys in --model.weights FILE; checkpoints of runs with their --model.backbone.",
)


@dataclass(frozen=True)
class Listed:
    """A finished `weights`.

    Attributes:
        formats: Those that can be read.
    """

    formats: tuple[PublishedFormat, ...]

    @property
    def results(self) -> Sequence[PublishedFormat]:
        """The lines of the table."""
        return self.formats


def run(args: list[str]) -> Listed:
    """Runs the command: prints the formats.

    Args:
        args: The command line behind `weights`.

    Returns:
        What was listed.

    Raises:
        ConfigError: An option is not known.
        SystemExit: Help was asked for, and is shown.
    """
    _parse(args)
    from wsreid.models.published_weights import FORMATS, UNREAD  # late: torch takes seconds to load

    console = Console()
    console = console if console.is_terminal else Console(width=WIDTH)
    table = Table(title="Checkpoints of other projects, for `python -m wsreid test --model Transfer`")
    for column in ("format", "project", "network", "size", "ranks by", "dropped", "licence"):
        table.add_column(column, overflow="fold")
    for kind in FORMATS:
        size = "-" if kind.size is None else f"{kind.size[0]}x{kind.size[1]}"
        ranks = f"{kind.official}{', both flips' if kind.flip else ''}"
        table.add_row(kind.name, kind.project, kind.body, size, ranks, ", ".join(kind.keys.dropped), kind.licence)
    console.print(table)
    for unread in UNREAD:
        console.print(f"Not read: {unread.name} ({unread.project}): {unread.why}.", highlight=False, soft_wrap=True)
    for note in NOTES:
        console.print(note, highlight=False, soft_wrap=True)
    return Listed(FORMATS)


def _parse(args: list[str]) -> None:
    parser = ArgumentParser(
        prog="python -m wsreid weights",
        description="The published checkpoints that `python -m wsreid test --model Transfer` can score.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    try:
        parser.parse_args(args)
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {})) from None
