"""Finds the user's error in what Lightning, jsonargparse or a DataLoader worker made of it."""

from __future__ import annotations

import re

from lightning.fabric.utilities.exceptions import MisconfigurationException

from wsreid.errors import ConfigError, WsreidError

_FROM_WORKER = re.compile(
    r"\ACaught \w+ in .+?Original Traceback.+^(?:\w+\.)*\w+: (?P<text>.+)\Z", re.DOTALL | re.MULTILINE
)


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
        if isinstance(seen, WsreidError):
            found = _FROM_WORKER.search(str(seen))
            return WsreidError(found["text"].strip()) if found else seen
        seen = seen.__cause__
    return None
