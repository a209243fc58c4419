"""Shows the suite's own log to the user of the command line."""

from __future__ import annotations

import logging


class _Plain(logging.Formatter):
    """A remark as it is; from a warning on, its level in front."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.levelno < logging.WARNING else f"{record.levelname}: {text}"


def show_log() -> None:
    """Sends the suite's remarks and warnings to stderr; for the process of the command line alone.

    A library does not configure logging: `main(args)` in a test or a notebook leaves it to the caller.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain("%(message)s"))
    logger = logging.getLogger("wsreid")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
