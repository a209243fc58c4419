"""Where prepared files are kept, and how one process builds them once for all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import platformdirs
from filelock import FileLock

from wsreid.errors import DataError

CACHE_VARIABLE = "WSREID_CACHE_DIR"


def cache_dir() -> Path:
    """The folder for manifests, bags and rendered sets.

    Returns:
        The folder named by the environment variable WSREID_CACHE_DIR if that is set, else the user's cache folder
        of the operating system. It is made when something is first written there.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("wsreid")


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Writes a file or a folder so that `path` never holds half of it.

    Args:
        path: Where the result goes; an existing file is replaced, an existing folder is not.
        write: Is given a path beside `path` that does not exist yet, and makes a file or a folder there.

    Raises:
        DataError: The folder cannot be written to.
    """
    partial = path.with_name(f"{_partial_prefix(path)}{os.getpid()}")
    _make_parent(path)
    _remove(partial)
    try:
        write(partial)
        if partial.is_file():
            _flush(partial)
        partial.replace(path)
    except OSError as error:
        if error.errno != errno.ENOSPC and partial.name in str(error):  # such as in /proc, which seems to be writable
            raise _not_writable(path.parent, error) from error
        raise
    finally:
        _remove(partial)


def build_once(path: Path, build: Callable[[Path], None]) -> Path:
    """Builds a file or a folder if it does not exist; of several processes, one builds and the others wait.

    Args:
        path: Where the result goes. It appears whole, by one rename, or not at all.
        build: Is given a path beside `path` that does not exist yet, and makes a file or a folder there.

    Returns:
        `path`.

    Raises:
        DataError: The folder cannot be written to.
    """
    if path.exists():
        return path
    _make_parent(path)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if not path.exists():
            # The lock is ours, so whatever lies here was left by a process that was killed.
            for stale in [p for p in path.parent.iterdir() if _partial_prefix(path) in p.name]:
                _remove(stale)
            write_atomically(path, build)
    return path


def _partial_prefix(path: Path) -> str:
    return f".{path.name}.partial-"


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(path.parent, error) from error
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise _not_writable(path.parent, PermissionError("permission denied"))


def _not_writable(folder: Path, error: OSError) -> DataError:
    remedy = "Free it, or name another one."
    if folder.absolute().is_relative_to(cache_dir()):
        remedy = f"Free it, or set the environment variable {CACHE_VARIABLE} to a folder that can be written to."
    return DataError(f"cannot write to the folder {folder}: {error.strerror or error}. {remedy}")


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
