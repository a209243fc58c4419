"""Checkpoints that are whole or not there, the one before kept beside the last."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from wsreid.errors import WsreidError
from wsreid.torn import torn
from wsreid.whole_file import sync_folder

_log = logging.getLogger(__name__)
LAST = "last.ckpt"
PREVIOUS = ".previous.ckpt"


def previous_of(path: Path) -> Path:
    """Where the checkpoint is kept that stood at `path` before the one that stands there now."""
    return path.with_name(path.name.removesuffix(".ckpt") + PREVIOUS)


def whole_checkpoint(path: Path) -> Path:
    """The checkpoint to go on from: the named one, or the one before it with a warning.

    Args:
        path: The checkpoint of a run.

    Returns:
        `path` if it is whole, or if there is nothing better.
    """
    before = previous_of(path)
    fault = torn(path) if path.is_file() else "it is missing"
    if not fault or not before.is_file() or torn(before):
        return path
    _log.warning("%s cannot be used: %s. Going on from the checkpoint before it, %s", path, fault, before)
    return before


class CheckpointFiles(TorchCheckpointIO):
    """Writes a checkpoint under another name, brings it to the disk, and renames it.

    The checkpoint that `last.ckpt` takes the place of stays as `last.previous.ckpt`, for a disk that loses bytes of it.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any = None,  # noqa: ANN401  # Lightning's type
    ) -> None:
        """Writes a checkpoint.

        Args:
            checkpoint: What it holds.
            path: Its file.
            storage_options: None.

        Raises:
            WsreidError: It cannot be written; the checkpoints on the disk are as they were.
        """
        file = Path(path)
        content = io.BytesIO()
        torch.save(checkpoint, content)
        temporary = file.with_name(f".{file.name}.part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as out:
                out.write(content.getbuffer())
                out.flush()
                os.fsync(out.fileno())
            _keep(file)
            temporary.replace(file)
            sync_folder(file.parent)
        except OSError as error:
            _remove(temporary)
            raise WsreidError(
                f"the checkpoint {file} ({content.getbuffer().nbytes / 1e6:,.1f} MB) cannot be written: "
                f"{error.strerror or error}. The checkpoints that are there stay whole: mend that, then the same "
                "command with --ckpt_path last goes on"
            ) from error


def _keep(file: Path) -> None:
    """Gives the present checkpoint its second name; a kill at any time leaves it under one of the two."""
    if file.name != LAST or not file.is_file():
        return
    link = file.with_name(f".{file.name}.link")
    link.unlink(missing_ok=True)
    try:
        os.link(file, link)
    except OSError:  # a file system without hard links
        file.replace(previous_of(file))
    else:
        link.replace(previous_of(file))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.debug("%s stays: %s", path, error)
