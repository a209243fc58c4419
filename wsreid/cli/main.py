"""Finds the command: `python -m wsreid fit|validate|test|predict|evaluate ...`.

Lightning is loaded for the four commands that need it alone; each other command is a module of this folder with
`run(args)`, and is loaded when it is called.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from wsreid.class_paths import OPTION, granted, taken_out, typed_classes
from wsreid.errors import ConfigError

SUITE = {  # in wsreid/cli/suite.py: Lightning's
    "fit": "Train a method, then test its last checkpoint.",
    "validate": "Score a checkpoint on the validation split.",
    "test": "Score a checkpoint on the test split.",
    "predict": "Write the features of query and gallery.",
}
OTHERS = {
    "evaluate": "Score features from any model: CMC, mAP, mINP.",
    "prepare": "Index a data set into a manifest.",
    "check": "Check a manifest, its images and its bags.",
    "bags": "Make bags, save them, and see what their labels alone give away.",
    "stats": "Compare data sets: a table and figures.",
    "show-bags": "Draw training images by bag, and query/match pairs.",
    "report": "Show runs beside each other in one HTML file.",
    "weights": "List the published checkpoints that `test` can score.",
    "search": "Find the gallery images that look like an image, in a saved index.",
    "compare": "Compare runs: a table with intervals and a paired test.",
    "rerun": "Do a run again from what it recorded, and compare.",
    "export": "Write a run's network to one file (ONNX, pt2, safetensors), with a card.",
    "publish": "Fill a folder that is ready for a model hub; nothing is uploaded.",
    "study": "Compare methods over seeds and bags: resumable runs, a table, curves.",
}
HELP = ("-h", "--help")


class Finished(Protocol):
    """What a finished command has found."""

    @property
    def results(self) -> Sequence[object]:
        """The rows of its closing table."""


class _Command(Protocol):
    def run(self, args: list[str]) -> Finished: ...


def main(args: list[str] | None = None) -> Finished:
    """Runs one command.

    Args:
        args: The command line without the program's name; None = that of the process.

    Returns:
        The finished command: `SuiteCLI` of fit, validate, test and predict, with `trainer`, `model`, `datamodule`,
        `run_folder` and `results`; `Evaluation` of evaluate, with `result` and `results`.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    words, packages = taken_out(sys.argv[1:] if args is None else args)
    name = words[0] if words else ""
    if name in HELP:
        print(_help())
        raise SystemExit(0)
    with granted(packages, typed_classes(words) if name in (*SUITE, "bags") else ()):
        return _run(name, words)


def _run(name: str, words: list[str]) -> Finished:
    if name in OTHERS:
        return cast(_Command, importlib.import_module(f"wsreid.cli.{name.replace('-', '_')}")).run(words[1:])
    if name not in SUITE and not name.startswith("-"):
        from wsreid.cli.typo import no_command

        raise ConfigError(no_command(name, [*SUITE, *OTHERS]))
    from wsreid.cli.suite import run

    return run(words)


def _help() -> str:
    lines = [f"  {name:<10} {what}" for name, what in (SUITE | OTHERS).items()]
    return "\n".join(
        [
            "Weakly supervised person re-identification.",
            "",
            "usage: python -m wsreid COMMAND [options]",
            "",
            *lines,
            "",
            "Options of a command: python -m wsreid COMMAND --help",
            f"Of all commands: {OPTION} PACKAGE, let configuration files name classes of a package of yours.",
        ]
    )
