"""`python -m wsreid search`: finds the gallery images that look like an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wsreid.cli.bar import bar
from wsreid.cli.search_options import SearchOptions, parse
from wsreid.errors import ConfigError

if TYPE_CHECKING:
    from wsreid.cli.search_report import Searched
    from wsreid.tracking.answer import Answer


@dataclass(frozen=True, eq=False)
class Finished:
    """A finished `search`.

    Attributes:
        found: What was found, and how.
        picture: The picture.
    """

    found: Searched
    picture: Path

    @property
    def results(self) -> Sequence[Answer]:
        """One for each image."""
        return self.found.answers


def run(args: list[str]) -> Finished:
    """Runs the command: prints the table, draws the picture.

    Args:
        args: The command line behind `search`.

    Returns:
        What was found.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    options = parse(args)
    with bar("loading") as watch:  # about what follows too, which takes seconds
        found, picture = _found(options, watch)
    from wsreid.cli.search_report import show, write_json

    show(found)
    if options.json is not None:
        write_json(options.json, found)
    for written in (picture, options.json):
        if written is not None:
            print(f"Written: {written}")
    return Finished(found, picture)


def _found(options: SearchOptions, watch: Callable[[str, int, int], None]) -> tuple[Searched, Path]:
    """What was found, and the picture of it, once it is known that all of it can be written."""
    # late: these load torch, Lightning, FAISS and matplotlib, and `--help` needs none of them
    from wsreid.cli.evaluation_file import check_place
    from wsreid.cli.quiet import quiet
    from wsreid.cli.search_images import asked_images
    from wsreid.cli.search_report import check_json
    from wsreid.cli.search_tasks import draw, search

    asked = asked_images(options.image)
    name = options.image.resolve().name if options.image.is_dir() else options.image.stem
    # not beside an exported file, whose folder may be one to publish: the picture shows images of a data set
    folder = Path() if options.run is None else options.run
    picture = options.picture or folder / "search" / f"{name}.png"
    for option, path in (("--picture", picture), ("--json", options.json)):
        if path is not None:
            check_place(path, option)
            if any(path.resolve() == file.resolve() for file in asked.files):
                raise ConfigError(f"{option} {path}: this is an image that is searched for. Name another file.")
    if options.json is not None:
        check_json(options.json)
    with quiet():
        found = search(options, asked, watch)
        watch("drawing", 0, 0)
        found = draw(found, picture)
    found.saved.index.close()
    return found, picture
