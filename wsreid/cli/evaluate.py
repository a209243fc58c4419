"""`python -m wsreid evaluate`: scores features of any model, from files."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

from wsreid.cli.evaluate_options import EvaluateOptions, spelt_out
from wsreid.cli.typo import class_options, explain, given_options, option_names
from wsreid.errors import ConfigError
from wsreid.retrieval.expansion_settings import QueryExpansion
from wsreid.retrieval.rerank_settings import KReciprocal
from wsreid.retrieval.search_settings import SearchSettings

if TYPE_CHECKING:
    from wsreid.cli.evaluate_files import Evaluation

_SETTINGS: dict[str, Any] = {
    "index": SearchSettings,
    "rerank": KReciprocal,
    "expand": QueryExpansion,
}
_SWITCHES = ("rerank", "expand")  # on, off, or settings
_BARE = re.compile(r"argument --(?P<name>\w+): expected one argument")


def run(args: list[str]) -> Evaluation:
    """Runs the command: scores, writes the JSON file, prints the table.

    Args:
        args: The command line behind `evaluate`.

    Returns:
        What was found.

    Raises:
        WsreidError: Something that the user can mend; its text is all that needs to be shown.
        SystemExit: Help was asked for, and is shown.
    """
    options = parse(args)
    from wsreid.cli.evaluate_files import evaluate_files  # late: it loads torch, and `--help` answers without

    return evaluate_files(options)


def parse(args: list[str]) -> EvaluateOptions:
    """Reads the command line and its --config files.

    Args:
        args: The command line behind `evaluate`.

    Returns:
        The options.

    Raises:
        ConfigError: A mistake, in one line with the nearest right name.
        SystemExit: Help was asked for, and is shown.
    """
    parser = ArgumentParser(
        prog="python -m wsreid evaluate",
        description="Scores features of any model, from files: CMC, mAP and mINP, exactly.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="YAML file with these options.")
    parser.add_class_arguments(EvaluateOptions, sub_configs=False)
    args = spelt_out(args)
    try:
        parsed: Any = parser.parse_args(args)
    except argparse.ArgumentError as error:
        if (bare := _BARE.search(str(error))) and bare["name"] in ("verification", *_SWITCHES):
            settings = "" if bare["name"] == "verification" else f", or settings: --{bare['name']}.help lists them"
            raise ConfigError(f"--{bare['name']}: write --{bare['name']} true{settings}.") from None
        for given in given_options(args):
            if given.key == "index" and isinstance(given.value, str) and given.origin is not None:
                raise ConfigError(f"{given.shown}: write `index: {{kind: {given.value}}}`.") from None
        names = option_names(parser) | class_options(KReciprocal, "rerank") | class_options(QueryExpansion, "expand")
        raise ConfigError(explain(str(error), args, names, {})) from None
    # not the parser's own `instantiate`: where a switch or settings are allowed, it hides what is wrong with the latter
    values = {name: getattr(parsed, name) for name in EvaluateOptions.__dataclass_fields__}
    for name in _SWITCHES:
        _check_switch(name, args, values[name])
    for name, kind in _SETTINGS.items():
        if not isinstance(values[name], bool):
            values[name] = kind(**vars(values[name]))
    return EvaluateOptions(**values)


def _check_switch(name: str, args: list[str], value: object) -> None:
    """Refuses a switch that takes the effect from settings on the same command line, or gives it to them."""
    given = list(given_options(args))
    settings = next((g for g in given if g.origin is None and g.key.startswith(f"{name}.")), None)
    switches = [g for g in given if g.key == name]
    off = any(g.origin is None and str(g.value).lower() == "false" for g in switches)
    if settings is not None and switches and (off or isinstance(value, bool)):
        switch = switches[-1]
        raise ConfigError(f"{switch.shown} {switch.value}: it stands beside {settings.shown}. Leave one of them out.")
