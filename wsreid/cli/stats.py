"""`python -m wsreid stats`: data sets side by side, as a table and as figures."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from jsonargparse import ArgumentParser

from wsreid.cli.bar import bar
from wsreid.cli.manifest_argument import check_folder, open_manifest
from wsreid.cli.typo import explain, option_names
from wsreid.data.bags import Bags
from wsreid.data.cache import write_atomically
from wsreid.data.dataset_statistics import SetStatistics, compared, measured_statistics
from wsreid.data.manifest import Manifest
from wsreid.errors import ConfigError
from wsreid.terminal import Console
from wsreid.tracking.dataset_table import csv_table, json_table, markdown_table, notes, terminal_table

if TYPE_CHECKING:
    from wsreid.tracking.dataset_figures import BagSizes

Format = Literal["terminal", "md", "csv", "json"]
_TEXTS: Final[dict[str, Callable[[Sequence[SetStatistics]], str]]] = {
    "md": markdown_table,
    "csv": csv_table,
    "json": json_table,
}


@dataclass(frozen=True, eq=False)
class Statistics:
    """A finished `stats`.

    Attributes:
        lines: The lines of the table.
        files: What was written.
    """

    lines: tuple[SetStatistics, ...]
    files: tuple[Path, ...]

    @property
    def results(self) -> Sequence[SetStatistics]:
        """The lines of the table."""
        return self.lines


def run(args: list[str]) -> Statistics:
    """Runs the command: prints the table, writes the figures.

    Args:
        args: The command line behind `stats`.

    Returns:
        What was found.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    options = _parse(args)
    names: list[str] = options.manifests
    kind: Format = options.format
    out: Path | None = options.out
    manifests = [open_manifest(name) for name in dict.fromkeys(names)]
    if out is not None:
        check_folder(out, "--out", manifests)
    bag_files = [Bags.open(path, "Name another bag file.") for path in options.bags]
    with bar("measuring") as watch:
        lines = compared(measured_statistics(manifest) for manifest in manifests)
        watch("drawing", 0, 0)
        files = [] if out is None else _write(out, lines, [_sizes(bags, manifests, lines) for bags in bag_files])
    _print(kind, lines)
    console = Console(stderr=True)
    for line in _said(out, files, bag_files):
        console.print(line, highlight=False, soft_wrap=True)
    return Statistics(tuple(lines), tuple(files))


def _parse(args: list[str]) -> Any:  # noqa: ANN401  # a namespace
    parser = ArgumentParser(
        prog="python -m wsreid stats",
        description="The comparison of data sets: published figures, and those measured on your manifests.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    what = "Manifests to measure: files of `prepare`, or the word `rendered` for the set that the package renders."
    parser.add_argument("manifests", nargs="*", type=str, metavar="MANIFEST", help=what)
    what = "Bag files, for the figure of bags by images per bag."
    parser.add_argument("--bags", nargs="+", type=Path, default=[], metavar="FILE", help=what)
    what = "Folder for the table (md, csv, json) and the figures (PNG and SVG)."
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=what)
    parser.add_argument("--format", type=Format, default="terminal", help="Of the table that is printed.")
    try:
        return parser.parse_args(args)
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {})) from None


def _sizes(bags: Bags, manifests: Sequence[Manifest], lines: Sequence[SetStatistics]) -> BagSizes:
    """Names the bags after their data set where its manifest is at hand, else after their file."""
    from wsreid.tracking.dataset_figures import BagSizes  # late: it loads matplotlib

    title = f"{Path(bags.path or '').name}, {bags.settings.protocol}"
    for manifest in manifests:
        if manifest.hash == bags.manifest_hash:
            title = next(line.title for line in lines if line.measured and line.origin == str(manifest.path))
            title = f"{title}, {bags.settings.protocol}"
            break
    return BagSizes.of(bags, title)


def _write(out: Path, lines: Sequence[SetStatistics], bags: Sequence[BagSizes]) -> list[Path]:
    from wsreid.tracking.dataset_figures import bags_figure, counts_figure  # late: these load matplotlib
    from wsreid.tracking.figure_files import save_figure

    files: list[Path] = []
    for ending, table in _TEXTS.items():
        path = out / f"stats.{ending}"
        write_atomically(path, partial(_write_text, f"{table(lines)}\n"))
        files.append(path)
    if bags:
        files += save_figure(bags_figure(bags), out, "stats_bags")
    files += save_figure(counts_figure(lines, "images"), out, "stats_images")
    files += save_figure(counts_figure(lines, "identities"), out, "stats_identities")
    return files


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def _print(kind: Format, lines: Sequence[SetStatistics]) -> None:
    if kind != "terminal":
        print(_TEXTS[kind](lines))
        return
    console = Console()
    console = console if console.is_terminal else Console(width=120)
    console.print(terminal_table(lines))
    for note in notes(lines):
        console.print(note, highlight=False, soft_wrap=True)


def _said(out: Path | None, files: Sequence[Path], bags: Sequence[Bags]) -> list[str]:
    """What a user should know who wonders where the figures are."""
    if out is None:
        return ["The figures are written with --out FOLDER."]
    said = [f"Written: {path}" for path in files]
    if not bags:
        said.append(
            "No figure of bags by images per bag: name bag files with --bags (`python -m wsreid bags` makes them)."
        )
    return said
