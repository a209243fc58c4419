"""The options of `python -m wsreid search`; loads neither NumPy nor torch, so that `--help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from jsonargparse import ArgumentParser

from wsreid.cli.typo import explain, option_names
from wsreid.errors import ConfigError
from wsreid.export.format_names import FORMATS, format_of

Kind = Literal["exact", "ivf", "hnsw", "pq"]
Similarity = Literal["cosine", "dot", "euclidean"]
EXACT_UP_TO: Final = 50_000
"""Gallery images up to which exact search needs no index to be quick."""


@dataclass(frozen=True)
class SearchOptions:
    """What is searched for, and how.

    Attributes:
        run: Run folder; None = `model` is named.
        model: Exported file; None = `run` is named.
        image: Image, or a folder of images.
        top: Length of the lists.
        gallery: Features to search in; None = those that `predict` wrote for the run.
        manifest: Manifest that the gallery's rows are of; None = the run's.
        checkpoint: Name of a checkpoint of the run, or a file.
        root: Where the run's data set is now; None = where it was.
        index: How the lists are found; None = by the gallery's size.
        nprobe: Cells that `ivf` and `pq` look into; None = an eighth of them.
        ef: Candidates that `hnsw` looks at; None = 128.
        exact: Whether to search exactly too, and compare.
        metric: Similarity; None = the run's.
        json: File for all that was found.
        picture: File for the picture; None = in the run folder.
        memory_mb: Working memory in MiB.
    """

    run: Path | None
    model: Path | None
    image: Path
    top: int
    gallery: Path | None
    manifest: Path | None
    checkpoint: str
    root: Path | None
    index: Kind | None
    nprobe: int | None
    ef: int | None
    exact: bool
    metric: Similarity | None
    json: Path | None
    picture: Path | None
    memory_mb: int

    def __post_init__(self) -> None:
        """Checks what can be known before a file is read.

        Raises:
            ConfigError: An option is out of its range, missing, or has no effect.
        """
        if (self.run is None) == (self.model is None):
            raise ConfigError("Name the network: either --run RUN, or --model FILE, which `export` wrote.")
        if self.model is not None:
            self._check_exported(self.model)
        for name in ("top", "nprobe", "ef", "memory_mb"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name} {value}: expected at least 1.")
        for name, kinds in (("nprobe", ("ivf", "pq")), ("ef", ("hnsw",))):
            if getattr(self, name) is not None and self.index not in kinds:
                raise ConfigError(
                    f"--{name} {getattr(self, name)}: it goes with --index {' or '.join(kinds)}. Name the index too."
                )
        if self.exact and self.index == "exact":
            raise ConfigError("--exact: --index exact searches exactly already. Leave one of them out.")
        if self.picture is not None and self.picture.suffix.lower() != ".png":
            raise ConfigError(f"--picture {self.picture}: the picture is a PNG file. Name it so: FILE.png.")

    def _check_exported(self, model: Path) -> None:
        if format_of(model) is None:
            raise ConfigError(
                f"--model {model}: an exported file ends in .{', .'.join(FORMATS)}. Of other checkpoints `predict "
                "--config experiments/DATASET/transfer.yaml --model.weights FILE` writes the features, and `evaluate` "
                "ranks them."
            )
        if self.checkpoint != "last":
            raise ConfigError(f"--checkpoint {self.checkpoint}: it goes with --run. Leave it out, or --model.")
        if self.root is not None and self.manifest is None:
            raise ConfigError(f"--root {self.root}: with --model it goes with --manifest FILE. Name that too.")

    def kind(self, images: int) -> Kind:
        """Which index is searched, in a gallery of so many images."""
        return self.index or ("exact" if images <= EXACT_UP_TO else "ivf")


def parse(args: Sequence[str]) -> SearchOptions:
    """Reads the command line.

    Args:
        args: The command line behind `search`.

    Returns:
        The options.

    Raises:
        ConfigError: A mistake, in one line with the nearest right name.
        SystemExit: Help was asked for, and is shown.
    """
    parser = ArgumentParser(
        prog="python -m wsreid search",
        description="Finds the gallery images that look like an image: embeds it with a network, of a run or exported, "
        "searches the features that `predict` wrote, prints a table and draws a picture.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    what = "Run folder; its network embeds."
    parser.add_argument("--run", type=Path | None, default=None, metavar="RUN", help=what)
    what = "File of `export` that embeds in its place; then name --gallery too."
    parser.add_argument("--model", type=Path | None, default=None, metavar="FILE", help=what)
    what = "The image; or a folder, whose images are searched for one by one."
    parser.add_argument("--image", type=Path, required=True, metavar="FILE", help=what)
    parser.add_argument("--top", type=int, default=20, help="Gallery images to find for each.")
    what = "Features to search in: any file that `evaluate` takes. By default those of `predict`, in the run folder."
    parser.add_argument("--gallery", type=Path | None, default=None, metavar="FILE", help=what)
    what = "Manifest that the rows of --gallery are of, for paths and pictures. Features of `predict` need none."
    parser.add_argument("--manifest", type=Path | None, default=None, metavar="FILE", help=what)
    what = "Name of a checkpoint in the run folder, such as last or best, or a file."
    parser.add_argument("--checkpoint", type=str, default="last", help=what)
    what = "Where the run's data set is now, if it has moved."
    parser.add_argument("--root", type=Path | None, default=None, metavar="DIR", help=what)
    what = (
        "How lists are found. All but exact make an index when first asked for, and keep it beside the features. "
        f"By default exact up to {EXACT_UP_TO:,} gallery images, ivf above."
    )
    parser.add_argument("--index", type=Kind | None, default=None, help=what)
    what = "Cells that ivf and pq look into; more find more and take longer. By default an eighth of them."
    parser.add_argument("--nprobe", type=int | None, default=None, help=what)
    what = "Candidates that hnsw looks at; more find more and take longer. By default 128."
    parser.add_argument("--ef", type=int | None, default=None, help=what)
    what = "Search exactly too, which takes seconds in a large gallery, and show what the index missed."
    parser.add_argument("--exact", action="store_true", help=what)
    what = "Similarity; euclidean = nearest first. By default that of the run's test."
    parser.add_argument("--metric", type=Similarity | None, default=None, help=what)
    what = "File for all that was found, as JSON."
    parser.add_argument("--json", type=Path | None, default=None, metavar="FILE", help=what)
    what = "PNG file for the picture; by default search/NAME.png, in RUN if there is one. One that exists is replaced."
    parser.add_argument("--picture", type=Path | None, default=None, metavar="FILE", help=what)
    parser.add_argument("--memory_mb", type=int, default=512, help="Working memory in MiB, the index aside.")
    try:
        parsed: Any = parser.parse_args(list(args))
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {})) from None
    return SearchOptions(**{name: getattr(parsed, name) for name in SearchOptions.__dataclass_fields__})
