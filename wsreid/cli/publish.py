"""`python -m wsreid publish`: a folder that is ready for a model hub. Nothing is uploaded."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from wsreid.cli.bar import bar
from wsreid.cli.typo import explain, option_names
from wsreid.errors import ConfigError
from wsreid.export.format_names import FORMATS, Format
from wsreid.terminal import Console

if TYPE_CHECKING:
    from wsreid.export.publish import Published

_ALWAYS: Format = "safetensors"


@dataclass(frozen=True)
class Finished:
    """A finished `publish`.

    Attributes:
        published: What was written.
    """

    published: Published

    @property
    def results(self) -> Sequence[Path]:
        """The files."""
        return self.published.files


def run(args: list[str]) -> Finished:
    """Runs the command: fills the folder, and prints what is in it and how it would be uploaded.

    Args:
        args: The command line behind `publish`.

    Returns:
        What was written.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    options = _parse(args)
    if options.count < 1:
        raise ConfigError(f"--count {options.count}: expected at least 1.")
    kinds = [kind for kind in FORMATS[::-1] if kind == _ALWAYS or kind in options.format]
    from wsreid.cli.export import images_in

    files = images_in(options.images, options.count)
    with bar("loading") as watch:
        # late: these load torch and Lightning, and `--help` needs neither
        from wsreid.cli.quiet import quiet
        from wsreid.export.formats import require_onnx
        from wsreid.export.front_matter import UNSTATED
        from wsreid.export.of_run import query_images
        from wsreid.export.publish import check_licence, publish_run
        from wsreid.export.published_folder import check_folder
        from wsreid.tracking.loaded_run import load_run

        licence = options.license or UNSTATED
        check_licence(licence)
        check_folder(options.out)
        if "onnx" in kinds:
            require_onnx()
        with quiet():
            loaded = load_run(options.run, checkpoint=options.checkpoint, root=options.root)
            images = files or query_images(loaded, options.count)
            published = publish_run(loaded, kinds, options.out, images, licence, watch)
    _show(published, stated=licence != UNSTATED)
    return Finished(published)


def _show(published: Published, *, stated: bool) -> None:
    differences = {each.path.name: each for each in published.exported}
    lines = [f"Written: {published.folder}"]
    for file in published.files:
        size = file.stat().st_size
        shown = f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
        found = differences.get(file.name)
        checked = (
            f"; largest difference from the run's features over {found.images} images: {found.difference:.1e}"
            if found
            else ""
        )
        lines.append(f"  {file.name} ({shown}){checked}")
    if not published.tested:
        lines.append("The run has not ended with a test: the card has no figures.")
    if not stated:
        lines.append("No licence is stated: --license NAME, such as apache-2.0, once the data's terms are read.")
    command = shlex.join(["hf", "upload", "ORG/NAME", str(published.folder)])
    lines.append(f"Nothing was uploaded. To upload it: {command}")
    console = Console()
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _parse(args: list[str]) -> Any:  # noqa: ANN401  # a namespace
    parser = ArgumentParser(
        prog="python -m wsreid publish",
        description="A folder that is ready for a model hub: the network in files that are checked against the run, a "
        "model card, figures with what they mean, checksums. Without paths of this machine, and without an upload.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="Run folder.")
    what = "The folder: a new or empty one, or one that `publish` has filled before, which is replaced."
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help=what)
    what = "Formats besides safetensors, which is always written: onnx, pt2."
    parser.add_argument("--format", type=Format, nargs="+", default=[_ALWAYS], help=what)
    what = "The hub's name of the licence, such as apache-2.0 or cc-by-nc-4.0; by default none is stated."
    parser.add_argument("--license", type=str | None, default=None, metavar="NAME", help=what)
    what = "A checkpoint of the run: `last`, `best`, or a file."
    parser.add_argument("--checkpoint", type=str, default="last", metavar="NAME", help=what)
    what = "Folder of images to check with; by default the first of the run's query set. None is published."
    parser.add_argument("--images", type=Path | None, default=None, metavar="FOLDER", help=what)
    parser.add_argument("--count", type=int, default=16, help="Images to check with, at most.")
    what = "Where the run's data set is now; by default where it was."
    parser.add_argument("--root", type=Path | None, default=None, metavar="FOLDER", help=what)
    try:
        return parser.parse_args(args)
    except argparse.ArgumentError as error:
        raise ConfigError(explain(str(error), args, option_names(parser), {}, ["run"])) from None
