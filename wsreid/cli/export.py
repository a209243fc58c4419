"""`python -m wsreid export`: a run's network as one file that embeds images elsewhere."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from wsreid.cli.bar import bar
from wsreid.cli.typo import explain, option_names
from wsreid.errors import ConfigError, WsreidError
from wsreid.export.format_names import FORMATS, Format

if TYPE_CHECKING:
    from wsreid.export.of_run import Exported


@dataclass(frozen=True)
class Finished:
    """A finished `export`.

    Attributes:
        exported: What was written.
        card: The model card beside it.
    """

    exported: Exported
    card: Path

    @property
    def results(self) -> Sequence[Exported]:
        """The file."""
        return [self.exported]


def run(args: list[str]) -> Finished:
    """Runs the command: writes the file and its card, and prints how far its features are from the run's.

    Args:
        args: The command line behind `export`.

    Returns:
        What was written.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    options = _parse(args)
    kind: Format = options.format
    path: Path = options.out or options.run / "export" / f"model.{kind}"
    if path.suffix != f".{kind}":
        raise ConfigError(f"--out {path}: the file of --format {kind} ends in .{kind}.")
    if options.count < 1:
        raise ConfigError(f"--count {options.count}: expected at least 1.")
    files = images_in(options.images, options.count)
    with bar("loading") as watch:
        # late: these load torch and Lightning, and `--help` needs neither
        from wsreid.cli.quiet import quiet
        from wsreid.data.cache import write_atomically
        from wsreid.export.card import model_card
        from wsreid.export.formats import require_onnx
        from wsreid.export.of_run import export_run, query_images
        from wsreid.tracking.loaded_run import load_run

        if kind == "onnx":
            require_onnx()
        with quiet():
            loaded = load_run(options.run, checkpoint=options.checkpoint, root=options.root)
            images = files or query_images(loaded, options.count)
            watch(f"exporting to {kind}", 0, 0)
            exported = export_run(loaded, kind, path, images)
        card = path.with_name("README.md")
        names = [path.name, *(other.name for other in _exports_beside(path, exported))]
        text = model_card(exported.recipe, loaded.recorded.results, names)
        write_atomically(card, lambda part: _write(part, text))
    print(
        f"Written: {path} ({path.stat().st_size / 1e6:.1f} MB); largest difference from the run's features over "
        f"{exported.images} images: {exported.difference:.1e}"
    )
    print(f"Written: {card}")
    return Finished(exported, card)


def _parse(args: list[str]) -> Any:  # noqa: ANN401  # a namespace
    parser = ArgumentParser(
        prog="python -m wsreid export",
        description="A run's network as one file, checked on real images against the original, with a model card.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="Run folder.")
    what = "onnx (runs without torch), pt2 (torch.export), or safetensors (weights alone)."
    parser.add_argument("--format", type=Format, default="onnx", help=what)
    what = "A checkpoint of the run: `last`, `best`, or a file."
    parser.add_argument("--checkpoint", type=str, default="last", metavar="NAME", help=what)
    what = "The file; by default RUN/export/model.FORMAT. README.md, the model card, goes beside it."
    parser.add_argument("--out", type=Path | None, default=None, metavar="FILE", help=what)
    what = "Folder of images to check with; by default the first of the run's query set."
    parser.add_argument("--images", type=Path | None, default=None, metavar="FOLDER", help=what)
    parser.add_argument("--count", type=int, default=16, help="Images to check with, at most.")
    what = "Where the run's data set is now; by default where it was."
    parser.add_argument("--root", type=Path | None, default=None, metavar="FOLDER", help=what)
    try:
        return parser.parse_args(args)
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {}, ["run"])) from None


def images_in(folder: Path | None, count: int) -> list[Path]:
    """The images of a folder to check a file with.

    Args:
        folder: The folder; None = there is none.
        count: How many at most.

    Returns:
        The first by name.

    Raises:
        ConfigError: There is no such folder, or no image in it.
    """
    if folder is None:
        return []
    if not folder.is_dir():
        raise ConfigError(f"--images {folder}: there is no such folder.")
    from wsreid.data.image_header import SUFFIXES  # late: `--help` needs no reader of images

    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)[:count]
    if not files:
        raise ConfigError(f"--images {folder}: no image in it ends in {', '.join(sorted(SUFFIXES))}.")
    return files


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _exports_beside(path: Path, exported: Exported) -> Iterator[Path]:
    """The same network's files in other formats: the card is of them too."""
    from wsreid.export.reading import ExportedModel

    for kind in FORMATS:
        other = path.with_suffix(f".{kind}")
        if other != path and other.is_file():
            with contextlib.suppress(WsreidError):  # of another time, or ONNX is not installed
                if ExportedModel(other).recipe == exported.recipe:
                    yield other
