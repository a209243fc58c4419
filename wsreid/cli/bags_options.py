"""The options of `python -m wsreid bags`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from wsreid.cli.typo import class_options, explain, option_names, subclasses
from wsreid.data.bag_settings import BagSettings
from wsreid.data.sources import Source
from wsreid.errors import ConfigError


@dataclass(frozen=True)
class BagsOptions:
    """Puts training images into bags, saves them, and says what the labels give away.

    The data set and its bags are named as for `fit`, with or without `data.` in front.

    Attributes:
        manifest: A manifest of `prepare`, or the word `rendered` for the set that the package renders.
        source: The data set's layout, instead of a manifest: Market1501, SYSU30k, Folder, ...
        root: The data set's folder, with --source.
        bags: Protocol, noise and seed.
        val_fraction: Share of the training identities held out of the bags, for validation: the value that `fit` will
            have, for it refuses bags that hold identities of its own validation split.
        label_file: SYSU-30k's bag_level_label.json (protocol sysu). By default the one in the data set's folder, and
            sliding windows where there is none.
        bag_file: Describe this bag file, instead of making bags.
        out: File for the bags, bags.arrow; by default they are not saved. Earlier bags are replaced, any other file is
            not.
        describe: Say how large the bags are, how many candidates they have, and what their labels alone give away.
        epochs: Where bags could be drawn anew in each epoch (protocol random; fit's data.redraw_bags): the numbers of
            epochs after which to say what the labels give away.
        json: File for the description, as JSON.
    """

    manifest: str | None = None
    source: Source | None = None
    root: Path | None = None
    bags: BagSettings = field(default_factory=BagSettings)
    val_fraction: float = 0.1
    label_file: Path | None = None
    bag_file: Path | None = None
    out: Path | None = None
    describe: bool = True
    epochs: tuple[int, ...] = (1, 2, 3, 5, 10)
    json: Path | None = None

    def __post_init__(self) -> None:
        """Checks what can be known before a file is read.

        Raises:
            ConfigError: Options that cannot work together, or a value out of range.
        """
        if (self.manifest is None) == (self.source is None):
            raise ConfigError(
                "name the data set: --manifest FILE (or --manifest rendered), or --source NAME with --root FOLDER; one "
                "of the two."
            )
        if (self.source is None) != (self.root is None):
            raise ConfigError("--source and --root go together: a layout, and the folder that has it.")
        if not 0.0 <= self.val_fraction < 1.0:
            raise ConfigError(f"--val_fraction must be at least 0 and below 1, got {self.val_fraction}")
        if any(epoch < 1 for epoch in self.epochs):
            raise ConfigError(f"--epochs {list(self.epochs)}: expected numbers of epochs, at least 1.")
        if self.bag_file is not None and (self.out is not None or self.label_file is not None):
            raise ConfigError(
                f"--bag_file {self.bag_file} describes bags that exist: leave --out and --label_file out."
            )
        if self.label_file is not None and self.bags.protocol != "sysu":
            raise ConfigError(f"--label_file {self.label_file} goes with --bags.protocol sysu.")
        if self.json is not None and not self.describe:
            raise ConfigError(f"--json {self.json}: this is the file for the description, which --describe turns off.")
        if self.out is not None and self.json is not None and self.out.resolve() == self.json.resolve():
            raise ConfigError(f"--json {self.json}: the bags (--out) go into this file. Name another.")
        if not self.describe and self.out is None:
            raise ConfigError("--describe false without --out: nothing is left to do. Name a file for the bags.")


def parse(args: Sequence[str]) -> BagsOptions:
    """Reads the command line and its --config files.

    Args:
        args: The command line behind `bags`.

    Returns:
        The options.

    Raises:
        ConfigError: A mistake, in one line with the nearest right name.
        SystemExit: Help was asked for, and is shown.
    """
    words, parser = _words(args), _parser()
    try:
        found: Any = parser.instantiate(parser.parse_args(words))
    except argparse.ArgumentError as error:
        names = option_names(parser) | class_options(BagSettings, "bags")
        raise ConfigError(explain(str(error), words, names, {"source": subclasses(Source)})) from None
    return BagsOptions(**{name: getattr(found, name) for name in BagsOptions.__dataclass_fields__})


def check_given(args: Sequence[str], options: BagsOptions, settings: BagSettings) -> None:
    """Refuses options that ask for other bags than a file holds.

    Args:
        args: The command line behind `bags`, which `parse` accepts.
        options: What `parse` made of it.
        settings: The file's.

    Raises:
        ConfigError: A --bags option that was given, on the line or in a --config file, differs from the file's.
    """
    given: Any = _parser().parse_args(_words(args), defaults=False)
    for name in vars(given.get("bags") or Namespace()):  # type: ignore[no-untyped-call]
        asked, made = getattr(options.bags, name), getattr(settings, name)
        if asked != made:
            raise ConfigError(
                f"--bags.{name} {asked}: the bags in --bag_file {options.bag_file} were made with {made}. Leave the "
                "option out, or leave --bag_file out to make other bags."
            )


def _words(args: Sequence[str]) -> list[str]:
    words = ["--describe=true" if word == "--describe" else word for word in _values_joined(args)]
    return [f"--{word.removeprefix('--data.')}" if word.startswith("--data.") else word for word in words]


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m wsreid bags",
        description="Makes bags of training images, saves them, and says what their labels alone give away.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="YAML file with these options.")
    parser.add_class_arguments(BagsOptions, sub_configs=False)
    return parser


def _values_joined(args: Sequence[str]) -> list[str]:
    """Writes `--describe false` as `--describe=false`, so that `--describe` alone can be told from it."""
    words: list[str] = []
    for word in args:
        if words and words[-1] == "--describe" and word.lower() in ("true", "false"):
            words[-1] = f"--describe={word}"
        else:
            words.append(word)
    return words
