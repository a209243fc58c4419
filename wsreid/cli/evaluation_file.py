"""The JSON file of `python -m wsreid evaluate`: figures with all that they mean."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from wsreid.errors import ConfigError

FORMAT = "wsreid evaluation 1"


def check_output(path: Path) -> None:
    """Refuses a place that could not be written, or that holds something else, before anything is computed.

    Args:
        path: Where the evaluation is to go.

    Raises:
        ConfigError: It holds a file that is no evaluation, or its folder cannot be written.
    """
    check_place(path, "--output")
    if path.exists() and not _is_evaluation(path):
        raise ConfigError(
            f"--output {path}: there is such a file, and it is no evaluation. Name another, or remove it."
        )


def check_place(path: Path, option: str) -> None:
    """Refuses a path that no file can be written to.

    Args:
        path: Where a file is to go; missing folders will be made.
        option: The option that names it.

    Raises:
        ConfigError: It is a folder, or lies in something that is no folder or may not be written.
    """
    if path.is_dir():
        raise ConfigError(f"{option} {path}: this is a folder. Name a file.")
    there = next(folder for folder in path.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ConfigError(f"{option} {path}: {there} is no folder that can be written. Name another place.")


def write_evaluation(path: Path, content: Mapping[str, object]) -> None:
    """Writes an evaluation; the file appears whole or not at all.

    Args:
        path: The file; its folder is made if it is missing.
        content: What it says. NaN becomes null.

    Raises:
        ConfigError: The disk is full, or the file cannot be written.
    """
    text = json.dumps(_plain({"format": FORMAT, **content}), indent=1, allow_nan=False)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"--output {path}: cannot be written ({error.strerror or error}).") from error
    finally:
        temporary.unlink(missing_ok=True)


def _is_evaluation(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def _plain(value: object) -> object:
    """The value for JSON, which has no NaN and no infinity."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
