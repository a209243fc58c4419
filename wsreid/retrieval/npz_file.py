"""Writing npz files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_npz(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]
) -> None:
    """Writes arrays without pickled objects; the file appears whole or not at all.

    Args:
        path: The file, with its suffix; its folder is made if it is missing.
        arrays: What it holds.

    Raises:
        OSError: It cannot be written; it names the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename = str(path)  # a failed write does not know it
        raise
    finally:
        temporary.unlink(missing_ok=True)
