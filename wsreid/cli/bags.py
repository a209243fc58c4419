"""`python -m wsreid bags`: makes bags, saves them, and says what their labels alone give away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsreid.cli.bags_options import BagsOptions, check_given, parse
from wsreid.cli.bags_report import Description, about, show
from wsreid.cli.bar import bar
from wsreid.cli.evaluation_file import check_place
from wsreid.cli.manifest_argument import open_manifest
from wsreid.data.bag_draft import BagDraft
from wsreid.data.bag_leak import Leak, leaks
from wsreid.data.bag_statistics import bag_statistics
from wsreid.data.bags import Bags
from wsreid.data.cache import write_atomically
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split
from wsreid.data.preparation import prepared_manifest, rows_to_train_on
from wsreid.data.sources import SYSU30k
from wsreid.data.splits import split_identities
from wsreid.errors import ConfigError, DataError
from wsreid.terminal import Console

_REMEDY = "Name another file with --bag_file."


@dataclass(frozen=True, eq=False)
class MadeBags:
    """A finished `bags`.

    Attributes:
        bags: The bags.
        description: What is to be said of them; None = nobody asked.
    """

    bags: Bags
    description: Description | None

    @property
    def results(self) -> Sequence[Description]:
        """The description."""
        return [] if self.description is None else [self.description]


def run(args: list[str]) -> MadeBags:
    """Runs the command.

    Args:
        args: The command line behind `bags`.

    Returns:
        The bags and what was found.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    options = parse(args)
    for path, option in ((options.out, "--out"), (options.json, "--json")):
        if path is not None:
            check_place(path, option)
    _check_replaced(options)
    manifest = _manifest(options)
    _check_outside(manifest, options)
    held = _held_out(manifest, options)
    rows = rows_to_train_on(manifest, held)
    label_file = _label_file(manifest, options)
    console = Console()
    console = console if console.is_terminal else Console(width=100)
    if options.bag_file is None:
        with bar("making bags"):
            bags = make_bags(manifest, options.bags, rows, label_file=label_file)
        if options.bags.protocol == "sysu":
            how = f"by {label_file}" if label_file else "sliding windows: there is no bag_level_label.json"
            console.print(f"sysu: {how}.", highlight=False, soft_wrap=True)
        if options.out is not None:
            bags.write(options.out)
    else:
        bags = Bags.open(options.bag_file, _REMEDY)
        check_given(args, options, bags.settings)
        bags.check_against(manifest)
        rows = _rows(bags)
    found = None
    if options.describe:
        held_out = None if options.bag_file is not None else len(np.unique(manifest.pid[held]))
        with bar("describing the bags"):
            found = _describe(manifest, bags, rows, options.epochs, held_out)
        show(found, console)
        if options.json is not None:
            _write_json(options.json, about(found))
    for written in (options.out, options.json):
        if written is not None:
            console.print(f"Written: {written}", highlight=False, soft_wrap=True)
    return MadeBags(bags, found)


def _describe(
    manifest: Manifest, bags: Bags, rows: NDArray[np.int64], epochs: Sequence[int], held_out: int | None
) -> Description:
    truth = manifest.class_index(manifest.pid) if manifest.has_truth else None
    classes = len(manifest.identities)
    draft = bags.draft
    redrawn: dict[int, Leak] = {}
    if bags.settings.protocol == "random" and epochs:
        every = leaks(_drawings(draft, lambda epoch: _again(manifest, bags, rows, epoch), max(epochs)), classes, truth)
        redrawn = {epoch: leak for epoch, leak in enumerate(every, 1) if epoch in epochs}
    name = bags.path.name if bags.path is not None else bags.settings.protocol
    return Description(
        title=f"Bags of {manifest.source}: {name}, seed {bags.settings.seed}",
        bags=bags,
        statistics=bag_statistics(draft, truth),
        leak=next(leaks([draft], classes, truth)),
        redrawn=redrawn,
        held_out=held_out,
    )


def _drawings(first: BagDraft, draw: Callable[[int], BagDraft], epochs: int) -> Iterator[BagDraft]:
    yield first
    for epoch in range(1, epochs):
        yield draw(epoch)


def _again(manifest: Manifest, bags: Bags, rows: NDArray[np.int64], epoch: int) -> BagDraft:
    return make_bags(manifest, bags.settings, rows, epoch=epoch).draft


def _rows(bags: Bags) -> NDArray[np.int64]:
    """The manifest rows that some bag holds; for bags of single images, not for millions of them."""
    if bags.settings.protocol != "random":
        return np.empty(0, np.int64)
    return np.unique(np.concatenate([bags.rows(bag) for bag in range(len(bags))]))


def _manifest(options: BagsOptions) -> Manifest:
    if options.manifest is not None:
        return open_manifest(options.manifest)
    assert options.source is not None  # BagsOptions sees to it
    assert options.root is not None
    return prepared_manifest(options.source, options.root, options.source.name)


def _held_out(manifest: Manifest, options: BagsOptions) -> NDArray[np.int64]:
    """The rows that `fit` holds out for validation."""
    if options.val_fraction == 0 or not manifest.has_truth:
        return np.empty(0, np.int64)
    _, held = split_identities(manifest.identities, options.val_fraction, options.bags.seed)
    rows = manifest.rows(Split.TRAIN)
    return rows[np.isin(manifest.pid[rows], held)]


def _label_file(manifest: Manifest, options: BagsOptions) -> Path | None:
    if options.bags.protocol != "sysu" or options.bag_file is not None:
        return None
    if options.label_file is not None:
        if not options.label_file.is_file():
            raise DataError(f"--label_file {options.label_file}: there is no such file.")
        return options.label_file
    if manifest.source != SYSU30k.name or not manifest.root.is_dir():
        return None
    return SYSU30k().bag_label_file(manifest.root)


def _check_replaced(options: BagsOptions) -> None:
    """Refuses to replace what is not of this command's making."""
    if options.out is not None and options.out.exists():
        try:
            Bags.open(options.out)
        except DataError:
            raise ConfigError(
                f"--out {options.out}: there is such a file, and it holds no bags. Name another, or remove it."
            ) from None
    if options.json is not None and options.json.exists():
        try:
            content = json.loads(options.json.read_bytes())
        except (OSError, ValueError):
            content = None
        if not isinstance(content, dict) or not str(content.get("format")).startswith("wsreid bag description"):
            raise ConfigError(
                f"--json {options.json}: there is such a file, and it describes no bags. Name another, or remove it."
            )


def _check_outside(manifest: Manifest, options: BagsOptions) -> None:
    for path, option in ((options.out, "--out"), (options.json, "--json")):
        if path is not None and path.resolve().is_relative_to(manifest.root.resolve()):
            raise ConfigError(
                f"{option} {path}: this is inside the data set {manifest.root}, which is never written to. "
                "Name another place."
            )


def _write_json(path: Path, content: dict[str, object]) -> None:
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    try:
        write_atomically(path, lambda partial: _write_text(partial, text))
    except OSError as error:
        raise ConfigError(f"--json {path}: cannot be written ({error.strerror or error}).") from error


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
