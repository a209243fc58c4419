"""Options that hold others and are null, which jsonargparse lets through."""

from __future__ import annotations

import dataclasses
import importlib
import typing
from collections.abc import Mapping
from typing import Any

from wsreid.errors import ConfigError


def refuse_null(key: str, chosen: Mapping[str, Any]) -> None:
    """Refuses null for an option whose value is a group of options.

    Args:
        key: Where the class is chosen, such as "data".
        chosen: Its `class_path` and `init_args`.

    Raises:
        ConfigError: One is null.
    """
    module, _, name = str(chosen["class_path"]).rpartition(".")
    cls = getattr(importlib.import_module(module), name)
    hints = typing.get_type_hints(cls.__init__)
    for option, value in chosen.get("init_args", {}).items():
        kind = hints.get(option)
        if value is None and isinstance(kind, type) and dataclasses.is_dataclass(kind):
            names = ", ".join(field.name for field in dataclasses.fields(kind))
            raise ConfigError(f"{key}.{option}: null. Leave it out, or set some of its options: {names}.")
