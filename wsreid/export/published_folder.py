"""A folder that was published before: known by its checksums, and replaced only where it is as it was."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from wsreid.errors import ConfigError
from wsreid.file_hash import file_hash

SUMS_FILE: Final = "SHA256SUMS"
_HEAD: Final = "# wsreid publish 1"  # a comment to `sha256sum -c`


def write_sums(folder: Path) -> None:
    """Writes the checksums of a folder's files, as `sha256sum -c` takes them.

    Args:
        folder: A folder without folders in it.
    """
    lines = [f"{file_hash(file)}  {file.name}" for file in sorted(folder.iterdir())]
    (folder / SUMS_FILE).write_text("\n".join([_HEAD, *lines, ""]), encoding="utf-8")


def check_folder(folder: Path) -> None:
    """Refuses a folder that holds anything that a former publish has not written.

    Args:
        folder: Where to publish.

    Raises:
        ConfigError: It is the present folder, a file, cannot be read, or holds something else.
    """
    if folder.resolve() == Path.cwd():
        raise ConfigError(f"--out {folder}: this is the folder where you are. Name one in it.")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"--out {folder}: there is a file of this name. Name a folder.")
    try:
        stranger = _stranger(folder)
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot be read ({error.strerror or error}).") from error
    if stranger is not None:
        raise ConfigError(f"--out {folder}: {stranger}. Name another folder, or remove it.")


def remove_published(folder: Path) -> None:
    """Removes what a former publish has written, once more looked at.

    Args:
        folder: The folder.

    Raises:
        ConfigError: See `check_folder`.
    """
    check_folder(folder)
    if folder.exists():
        shutil.rmtree(folder)


def _stranger(folder: Path) -> str | None:
    """What a folder holds that is no former publish as it was; None = nothing."""
    files = sorted(folder.iterdir())
    if not files:
        return None
    sums = folder / SUMS_FILE
    lines = sums.read_text(encoding="utf-8", errors="replace").splitlines() if sums.is_file() else []
    if not lines or lines[0] != _HEAD:
        return f"it holds {files[0].name}, and is no folder that `publish` has filled"
    written = {name: digest for digest, _, name in (line.partition("  ") for line in lines[1:])}
    for file in files:
        if file.name == SUMS_FILE:
            continue
        if file.name not in written or not file.is_file() or file.is_symlink():
            return f"it holds {file.name}, which `publish` has not written"
        if file_hash(file) != written[file.name]:
            return f"{file.name} in it was changed since `publish` wrote it"
    return None
