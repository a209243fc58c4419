"""The images that `python -m wsreid search` is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wsreid.cli.search_network import SearchNetwork
from wsreid.data.image_header import SUFFIXES
from wsreid.data.images import ImageLocation, UnreadableImage, read_image
from wsreid.data.sources.scan import scan
from wsreid.errors import DataError
from wsreid.retrieval.watching import Watch

_AT_ONCE: Final = 64  # images that are in memory together


@dataclass(frozen=True)
class Asked:
    """The images of a command line.

    Attributes:
        files: The images, by name.
        left_out: Files that cannot be searched for: name and reason.
    """

    files: tuple[Path, ...]
    left_out: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Embedded:
    """Images with their features.

    Attributes:
        files: The images, `N` of them.
        features: `(N, D)`.
        left_out: Files that could not be read: name and reason.
    """

    files: tuple[Path, ...]
    features: NDArray[np.float32]
    left_out: tuple[tuple[Path, str], ...]


def asked_images(path: Path) -> Asked:
    """Finds the images.

    Args:
        path: An image, or a folder of images; folders inside it are not entered.

    Returns:
        The images; an image that is named itself is not looked into.

    Raises:
        DataError: There is no such file, or no image in the folder.
    """
    if not path.exists():
        raise DataError(f"--image {path}: there is no such file or folder.")
    if not path.is_dir():
        return Asked((path,))
    try:
        found, problems = scan(path, path)
    except OSError as error:
        raise DataError(f"--image {path}: the folder cannot be read ({error.strerror or error}).") from error
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(f"--image {path}: there is no image in this folder; it was looked for {kinds}.")
    # other files are not asked for: only what looks like an image and is none is worth a word
    left_out = tuple(
        (path / problem.file, problem.reason)
        for problem in problems
        if Path(problem.file).suffix.lower() in SUFFIXES and not (path / problem.file).is_dir()
    )
    return Asked(tuple(path / each.file for each in found), left_out)


def embed_images(network: SearchNetwork, asked: Asked, watch: Watch) -> Embedded:
    """Reads and embeds images, a few at a time.

    Args:
        network: What embeds them.
        asked: The images.
        watch: Is told how many are done.

    Returns:
        Their features. In a folder, images that cannot be read are left out.

    Raises:
        DataError: An image that was named itself, or each image of the folder, cannot be read.
    """
    files: list[Path] = []
    left_out = list(asked.left_out)
    features: list[NDArray[np.float32]] = []
    for start in range(0, len(asked.files), _AT_ONCE):
        images = []
        for file in asked.files[start : start + _AT_ONCE]:
            try:
                images.append(query_image(file))
            except DataError as error:
                left_out.append((file, str(error).removeprefix(f"{file} ")))
            else:
                files.append(file)
        if images:
            features.append(network.embed(images))
        watch("embedding", min(start + _AT_ONCE, len(asked.files)), len(asked.files))
    if not files:
        raise DataError(f"--image {_reasons(left_out)}")
    return Embedded(tuple(files), np.concatenate(features), tuple(left_out))


def query_image(file: Path) -> NDArray[np.uint8]:
    """An image that was asked for, RGB, `(H, W, 3)`.

    Args:
        file: Its file.

    Returns:
        The image.

    Raises:
        DataError: It cannot be read; the message ends with the reason.
    """
    try:
        return read_image(ImageLocation(file))
    except UnreadableImage as error:
        # what a data set's user is told to do about it does not apply here
        raise DataError(str(error).partition(". Replace or remove it")[0] + ".") from error


def _reasons(left_out: Sequence[tuple[Path, str]]) -> str:
    shown = "; ".join(f"{file} {reason}" for file, reason in left_out[:3])
    return shown if len(left_out) <= 3 else f"{shown} And so for {len(left_out) - 3} more."
