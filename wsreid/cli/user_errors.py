"""Finds the user's error in what Lightning, jsonargparse or a DataLoader worker made of it."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from wsreid.errors import ConfigError, WsreidError
from wsreid.whole_file import cannot_write

_FROM_WORKER = re.compile(
    r"\ACaught \w+ in .+?Original Traceback.+^(?:\w+\.)*\w+: (?P<text>.+)\Z", re.DOTALL | re.MULTILINE
)
_DIED = re.compile(
    r"DataLoader worker \((?:pid|pid\(s\)) (?P<pid>[\d, ]+)\) (?:is killed by (?P<signal>signal: [\w ]+)|exited)"
)
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_GO_ON = "A fit goes on with the same command and --ckpt_path last"


def user_error(error: BaseException) -> WsreidError | None:
    """The error that the user can mend, with its own message alone.

    Args:
        error: What was raised.

    Returns:
        The error, itself a `WsreidError` or caused by one; None if there is none, so that a traceback is due.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MisconfigurationException):  # Lightning's name for options that cannot work together
            return ConfigError(str(seen))
        if isinstance(seen, RuntimeError) and "Error(s) in loading state_dict" in str(seen):
            first = " ".join(str(seen).splitlines()[1:3])
            return ConfigError(
                f"the checkpoint does not fit the configured method ({first.strip()[:200]} ...). "
                "Take the config.yaml of its run."
            )
        if isinstance(seen, RuntimeError) and (text := _of_worker(f"{seen.__cause__}\n{seen}")):
            return WsreidError(text)
        if isinstance(seen, OSError) and seen.errno in _UNWRITABLE:
            return cannot_write(Path(str(seen.filename or "a file")), seen)
        if isinstance(seen, WsreidError):
            found = _FROM_WORKER.search(str(seen))
            return WsreidError(found["text"].strip()) if found else seen
        seen = seen.__cause__
    return None


def _of_worker(text: str) -> str:
    """What to tell the user when a process that loads images died, or could not hand its images over; else empty."""
    if re.search(r"out of shared memory|</torch_\w+>: No space left|shared memory\(shm\)", text):
        return (
            "the shared memory /dev/shm is too small for the processes that load images. Take fewer or none: "
            "--data.num_workers, smaller batches, or more shared memory: docker run --shm-size=8g, or "
            f"mount -o remount,size=8G /dev/shm. {_GO_ON}"
        )
    if "ancdata" in text or "Too many open files" in text:
        return (
            "the processes that load images hold too many files open. Raise the limit (ulimit -n 65536), take fewer: "
            "--data.num_workers, or call torch.multiprocessing.set_sharing_strategy('file_system') before wsreid's "
            f"main. {_GO_ON}"
        )
    if found := _DIED.search(text):
        return (
            f"a process that loads images died (pid {found['pid']}, {found['signal'] or 'unasked'}). "
            f"If the machine was out of memory, take fewer: --data.num_workers, or smaller batches. {_GO_ON}"
        )
    return ""
