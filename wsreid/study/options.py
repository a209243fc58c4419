"""Options of a run as a study gives them: merged, as words of a command line, and written into a configuration."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from wsreid.errors import ConfigError

Options = Mapping[str, object]
"""Option by dotted name, as on the command line without its dashes."""
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_OF_CLASSES = ("class_path", "init_args", "dict_kwargs")


def merged(*parts: Options) -> dict[str, object]:
    """All options; a later part wins, and comes later on the command line.

    Args:
        parts: The options.

    Returns:
        Value by name.
    """
    found: dict[str, object] = {}
    for part in parts:
        for name, value in part.items():
            found.pop(name, None)
            found[name] = value
    return found


def as_arguments(options: Options) -> list[str]:
    """The options as words of a command line.

    Args:
        options: Value by name; `${NAME}` in a text stands for an environment variable, so that a study file needs no
            folder of one machine.

    Returns:
        One word an option.

    Raises:
        ConfigError: An environment variable is not set.
    """
    texts = {name: _filled(name, value) for name, value in options.items()}
    # JSON writes null, true and lists as YAML reads them
    return [f"--{name}={text if isinstance(text, str) else json.dumps(text)}" for name, text in texts.items()]


def _filled(name: str, value: object) -> object:
    return _VARIABLE.sub(lambda found: _variable(found[1], name), value) if isinstance(value, str) else value


def _variable(name: str, option: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise ConfigError(f"{option}: the environment variable {name} is not set. Set it: export {name}=...")
    return value


def with_options(config: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """A configuration with options written into it, as if they stood on the command line behind it.

    Args:
        config: The content of a configuration file.
        options: Value by dotted name; arguments of a class are found under its `init_args`.

    Returns:
        A new configuration.

    Raises:
        ConfigError: An environment variable is not set.
    """
    found: dict[str, Any] = copy.deepcopy(dict(config))
    for name, value in options.items():
        _set(found, name.split("."), _filled(name, value))
    return found


def _set(node: dict[str, Any], names: list[str], value: object) -> None:
    name, *rest = names
    if "class_path" in node and name not in _OF_CLASSES:
        node = node.setdefault("init_args", {})
    if rest:
        child = node.get(name)
        if isinstance(child, str):
            child = {"class_path": child}  # a class by its name alone
        node[name] = child if isinstance(child, dict) else {}
        _set(node[name], rest, value)
    elif isinstance(node.get(name), dict) and "class_path" in node[name] and isinstance(value, str):
        node[name]["class_path"] = value
    else:
        node[name] = value
