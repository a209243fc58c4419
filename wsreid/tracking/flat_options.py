"""A configuration as options of the command line: one name and one text for each value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping


def flat_options(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Takes nested values apart.

    Args:
        value: A configuration, or what stands in it under `key`.
        key: Name of the option that holds it; empty = the whole.

    Yields:
        Dotted name and text; values that are no text as JSON.
    """
    if not isinstance(value, Mapping):
        yield key, value if isinstance(value, str) else json.dumps(value, default=str)
        return
    for name, inner in value.items():
        # a class is given as `--model DGL --model.lr 0.1`: its two keys are no part of the option's name
        within = key if name in ("class_path", "init_args") and key else f"{key}.{name}".removeprefix(".")
        yield from flat_options(inner, within)
