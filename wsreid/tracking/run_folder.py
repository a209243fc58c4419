"""The folder that holds a run: its name, its owner, and what must not be overwritten."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from wsreid.errors import ConfigError
from wsreid.tracking.process_rank import process_rank
from wsreid.tracking.provenance import read_provenance

LOCK_FILE = ".lock"
OWNER_FILE = "owner.json"
CONFIG_FILE = "config.yaml"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class RunFolder:
    """A run folder.

    Attributes:
        path: The folder, which need not exist yet.
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Where its checkpoints lie."""
        return self.path / CHECKPOINTS

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint of the last finished epoch."""
        return self.checkpoints / "last.ckpt"

    def in_use(self) -> bool:
        """Whether it holds anything but a lock."""
        return self.path.is_dir() and any(p.name not in (LOCK_FILE, OWNER_FILE) for p in self.path.iterdir())

    def broken_off(self) -> bool:
        """Whether it holds a run, or what a kill has left of one that had just begun."""
        return (self.path / CONFIG_FILE).is_file() or (self.path / OWNER_FILE).is_file()

    @contextlib.contextmanager
    def claimed(self, *, new: bool) -> Iterator[None]:
        """Makes the folder and holds its lock, whose owner stands in owner.json. Only process 0 of a run does so.

        Args:
            new: It must not hold a run yet.

        Raises:
            ConfigError: It holds a run, another process owns it, or it cannot be written.
        """
        if process_rank() != 0:
            yield
            return
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"The run folder {self.path} is a file. Choose another one: --run NEW")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / LOCK_FILE)
            lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(
                f"The run folder {self.path} belongs to a running process ({self.owner()}). "
                "Wait for it, or choose another folder with --run NEW"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"The run folder {self.path} cannot be written ({error.strerror}). Choose another one: --run NEW"
            ) from error
        try:
            if new:
                self._refuse_if_in_use()
            start = datetime.now(UTC).isoformat("T", "seconds")
            owner = {"pid": os.getpid(), "host": socket.gethostname(), "start": start}
            (self.path / OWNER_FILE).write_text(json.dumps(owner), encoding="utf-8")
            yield
        finally:
            with contextlib.suppress(OSError):
                (self.path / OWNER_FILE).unlink(missing_ok=True)
                if not self.in_use():  # nothing came of it: a mistake found early leaves no empty folder behind
                    (self.path / LOCK_FILE).unlink(missing_ok=True)
                    self.path.rmdir()
            lock.release()

    def _refuse_if_in_use(self) -> None:
        if not self.in_use():
            return
        if self.last_checkpoint.is_file():
            raise ConfigError(
                f"The run folder {self.path} holds a run already. "
                "Choose another one with --run NEW, or go on with that run: --ckpt_path last"
            )
        if (self.path / CONFIG_FILE).is_file():
            command = read_provenance(self.path).get("command", "fit")
            if command != "fit":
                raise ConfigError(
                    f"The run folder {self.path} holds a {command} already, whole or broken off. "
                    "Choose another one with --run NEW, or remove it"
                )
            raise ConfigError(
                f"The run folder {self.path} holds a run that ended before its first checkpoint. "
                "Begin it anew with --ckpt_path last, or choose another folder with --run NEW"
            )
        raise ConfigError(f"The folder {self.path} holds other files. Choose another one for the run: --run NEW")

    def owner(self) -> str:
        """Who holds the lock, in words."""
        try:
            owner = json.loads((self.path / OWNER_FILE).read_text(encoding="utf-8"))
            return f"pid {owner['pid']} on {owner['host']}, started {owner['start']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "owner unknown"


def run_of_checkpoint(checkpoint: Path) -> RunFolder | None:
    """The run folder that a checkpoint lies in, or None if it lies elsewhere."""
    folder = checkpoint.absolute().parent
    return RunFolder(folder.parent) if folder.name == CHECKPOINTS else None
