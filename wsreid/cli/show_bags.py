"""`python -m wsreid show-bags`: training images by bag beside the bags' labels, and queries beside a match."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from wsreid.cli.manifest_argument import check_folder, open_manifest
from wsreid.cli.typo import explain, option_names
from wsreid.data.bags import Bags
from wsreid.errors import ConfigError
from wsreid.terminal import Console

if TYPE_CHECKING:
    from wsreid.tracking.bag_figure import ShownBag


@dataclass(frozen=True, eq=False)
class Pictures:
    """A finished `show-bags`.

    Attributes:
        bags: The bags that were drawn.
        files: What was written.
    """

    bags: tuple[ShownBag, ...]
    files: tuple[Path, ...]

    @property
    def results(self) -> Sequence[Path]:
        """The pictures."""
        return self.files


def run(args: list[str]) -> Pictures:
    """Runs the command: writes `bags` and `pairs`, PNG and SVG.

    Args:
        args: The command line behind `show-bags`.

    Returns:
        What was drawn.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    options = _parse(args)
    for name, least in (("bags", 1), ("images", 1), ("seed", 0), ("pairs", 0)):
        if getattr(options, name) < least:
            raise ConfigError(f"--{name} {getattr(options, name)}: expected at least {least}.")
    if options.colours is not None and not 2 <= options.colours <= 256:
        raise ConfigError(f"--colours {options.colours}: expected 2 to 256, or leave it out for all.")
    # late: these load matplotlib, and `--help` does not need it
    from wsreid.tracking.bag_figure import bag_figure, pair_figure
    from wsreid.tracking.figure_files import save_figure
    from wsreid.tracking.shown_data import draw_bags, draw_pairs

    manifest = open_manifest(options.manifest)
    check_folder(options.out, "--out", [manifest])
    bags = Bags.open(options.bag_file, "Name another bag file.")
    bags.check_against(manifest)
    shown = draw_bags(manifest, bags, count=options.bags, images=options.images, seed=options.seed)
    files = list(save_figure(bag_figure(shown), options.out, "bags", options.colours))
    said = []
    if pairs := draw_pairs(manifest, count=options.pairs, seed=options.seed):
        files += save_figure(pair_figure(pairs), options.out, "pairs", options.colours)
    elif options.pairs:
        said.append(f"No picture of pairs: no query of {manifest.path} has a match in its gallery.")
    console = Console()
    for line in [f"Written: {path}" for path in files] + said:
        console.print(line, highlight=False, soft_wrap=True)
    return Pictures(tuple(shown), tuple(files))


def _parse(args: list[str]) -> Any:  # noqa: ANN401  # a namespace
    parser = ArgumentParser(
        prog="python -m wsreid show-bags",
        description="Pictures of the training data: images by bag beside the bags' labels, and queries beside a match.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    what = "A manifest of `prepare`, or the word `rendered` for the set that the package renders."
    parser.add_argument("manifest", type=str, metavar="MANIFEST", help=what)
    what = "A bag file of `bags`, made for that manifest."
    parser.add_argument("bag_file", type=Path, metavar="BAGS", help=what)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="Folder for the pictures.")
    parser.add_argument("--bags", type=int, default=3, help="Bags to draw.")
    parser.add_argument("--images", type=int, default=8, help="Images of each bag, at most.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the choice.")
    parser.add_argument("--pairs", type=int, default=4, help="Queries to draw beside a match; 0 = no such picture.")
    what = "Keep at most so many colours in the PNG files, which makes them small; by default all."
    parser.add_argument("--colours", type=int, help=what)
    try:
        return parser.parse_args(args)
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {}, ["manifest", "bag_file"])) from None
