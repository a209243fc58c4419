"""`python -m wsreid check`: whether a manifest, its images and its bags are whole."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from jsonargparse import ArgumentParser
from jsonargparse.typing import NonNegativeInt
from rich.progress import track
from rich.table import Table

from wsreid.cli.typo import explain, option_names
from wsreid.data.bags import Bags
from wsreid.data.checks import check_archives, check_root
from wsreid.data.inspection import (
    BagSummary,
    LostQueries,
    OpenedImages,
    SplitSummary,
    bag_summary,
    lost_queries,
    open_images,
    sampled_rows,
    split_summaries,
)
from wsreid.data.manifest import Manifest, Split
from wsreid.errors import ConfigError, DataError
from wsreid.terminal import Console

_log = logging.getLogger(__name__)

_SHOWN: Final = 10
_REMEDY: Final = "Make it again with `python -m wsreid prepare`."
_BAGS_REMEDY: Final = "Make the bags again."


@dataclass(frozen=True)
class Checked:
    """A finished `check` that found nothing broken.

    Attributes:
        manifest: The file.
        splits: What its splits hold.
        images: The images that were opened.
        queries: The queries that have no match.
        bags: What the bag file holds; None = none was named.
    """

    manifest: Path
    splits: tuple[SplitSummary, ...]
    images: OpenedImages
    queries: LostQueries
    bags: BagSummary | None

    @property
    def results(self) -> Sequence[SplitSummary]:
        """The lines of the table."""
        return self.splits


def run(args: list[str]) -> Checked:
    """Runs the command: checks hashes, opens images, prints what was found.

    Args:
        args: The command line behind `check`.

    Returns:
        What was found.

    Raises:
        DataError: Something is broken: the file itself, an image that was opened, or all queries.
        WsreidError: Another thing that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    options = _parse(args)
    manifest = Manifest.open(options.manifest, options.root, _REMEDY)
    manifest.check()
    check_root(manifest)
    check_archives(manifest)
    bags = None
    if options.bags is not None:
        opened = Bags.open(options.bags, _BAGS_REMEDY)
        opened.check()
        opened.check_against(manifest)
        bags = bag_summary(opened)
    rows = sampled_rows(manifest, None if options.images == "all" else options.images, options.seed)
    with _progress(rows) as watched:
        images = open_images(manifest, watched)
    checked = Checked(manifest.path, tuple(split_summaries(manifest)), images, lost_queries(manifest), bags)
    _show(manifest, checked)
    if broken := _broken(checked):
        raise DataError(f"{manifest.path}: {broken}")
    return checked


def _parse(args: list[str]) -> Any:  # noqa: ANN401  # a namespace
    parser = ArgumentParser(
        prog="python -m wsreid check",
        description="Checks a manifest: hashes, images, bags, and queries that would not be scored.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="A file of `prepare`.")
    what = "Where the images are now; by default where they were when it was made."
    parser.add_argument("--root", type=Path, help=what)
    what = "How many images to open, drawn over all splits, or `all`."
    parser.add_argument("--images", type=NonNegativeInt | Literal["all"], default=200, help=what)
    parser.add_argument("--seed", type=NonNegativeInt, default=0, help="Of the draw of the images.")
    parser.add_argument("--bags", type=Path, metavar="FILE", help="A bag file of this manifest, to be checked too.")
    try:
        return parser.parse_args(args)
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {}, ["manifest"])) from None


@contextmanager
def _progress(rows: Sequence[int]) -> Iterator[Sequence[int] | Iterator[int]]:
    """The rows, with a bar on a terminal's stderr."""
    console = Console(stderr=True)
    _log.info("opening %d images", len(rows))
    yield iter(track(rows, "images", console=console, transient=True)) if console.is_terminal else rows


def _broken(checked: Checked) -> str:
    """What is broken, in one paragraph; empty = nothing."""
    found: list[str] = []
    images, queries = checked.images, checked.queries
    if images.unreadable:
        shown = "".join(f"\n  {reason}" for reason in images.reasons[:_SHOWN])
        more = f"\n  and {images.unreadable - _SHOWN} more" if images.unreadable > _SHOWN else ""
        found.append(f"{images.unreadable:,} of {images.opened:,} images opened cannot be read:{shown}{more}")
    if queries.queries and queries.lost == queries.queries:
        found.append(
            f"none of the {queries.queries:,} queries has a match in the gallery. Check that identities and cameras "
            "are read correctly from the file names (options of the source)."
        )
    return "\n".join(found)


def _show(manifest: Manifest, checked: Checked) -> None:
    console = Console()
    console = console if console.is_terminal else Console(width=110)
    console.print(_table(manifest, checked.splits))
    for line in _lines(manifest, checked):
        console.print(line, highlight=False, soft_wrap=True)


def _table(manifest: Manifest, splits: Sequence[SplitSummary]) -> Table:
    title = f"{manifest.source}, hash {manifest.hash[:12]}"
    table = Table(title=title, box=None, padding=(0, 2, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("split")
    for head in ("images", "identities", "cameras", "distractors", "no identity"):
        table.add_column(head, justify="right", no_wrap=True)
    for line in splits:
        distractors = "-" if line.split == Split.TRAIN else f"{line.distractors:,}"
        numbers = (f"{line.images:,}", f"{line.identities:,}", f"{line.cameras:,}", distractors, f"{line.unknown:,}")
        table.add_row(line.split.name.lower(), *numbers)
    return table


def _lines(manifest: Manifest, checked: Checked) -> list[str]:
    images, queries, bags = checked.images, checked.queries, checked.bags
    lines = [f"Images opened: {images.opened:,} of {len(manifest):,}, {images.unreadable:,} unreadable."]
    if images.height is not None:
        lines.append(f"Height {images.height}; width {images.width} pixels.")
    if queries.lost:
        lines.append(
            f"Queries without a match, which the junk rule drops: {queries.lost:,} of {queries.queries:,} "
            f"(identity not in the gallery {queries.absent:,}, own camera only {queries.own_camera:,}, no identity "
            f"{queries.unknown:,}), such as {', '.join(queries.examples)}."
        )
    elif queries.queries:
        lines.append(f"Each of the {queries.queries:,} queries has a match.")
    else:
        lines.append("There is no query: the set cannot be tested on.")
    if bags is not None:
        lines.append(
            f"Bags ({bags.protocol}): {bags.bags:,} with {bags.members:,} members; images a bag {bags.sizes}; "
            f"candidates a bag {bags.candidates}."
        )
    if manifest.problems:
        lines.append(f"{manifest.problem_count:,} files were left out when it was made, first: {manifest.problems[0]}.")
    return lines + [f"Note: {note}" for note in manifest.notes]
