"""Files of a run that are whole or as they were."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from wsreid.errors import WsreidError

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def whole_file(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Opens a file beside `path` that takes its place at the end, once its bytes are on the disk.

    Args:
        path: The file to write; its folder is made if missing.
        mode: "w" for UTF-8 text with the line ends as they are written, "wb" for bytes.

    Yields:
        The file to write to.

    Raises:
        WsreidError: It cannot be written; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.part")
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open(mode, encoding=encoding, newline=newline) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> WsreidError:
    """What to tell the user when a file of a run cannot be written.

    Args:
        path: The file.
        error: Why.

    Returns:
        The error to raise.
    """
    reason = "no space is left on the disk" if error.errno in _FULL else str(error.strerror or error)
    return WsreidError(
        f"{path} cannot be written: {reason}. What the run folder holds is whole: mend that, then go on with the same "
        "command and --ckpt_path last"
    )


def sync_folder(folder: Path) -> None:
    """Brings the renames in a folder to the disk, where the system lets a folder be opened.

    Args:
        folder: The folder.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
