"""A manifest as a command takes it: a file, or the word `rendered`; and the folder for what is made of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from wsreid.data.checks import check_content
from wsreid.data.dataset_statistics import RENDERED
from wsreid.data.manifest import Manifest
from wsreid.data.preparation import prepared_manifest
from wsreid.data.rendered import RenderSettings, rendered_root
from wsreid.data.sources.market1501 import Market1501
from wsreid.errors import ConfigError

WORD: Final = "rendered"
_SETTINGS: Final = RenderSettings()


def open_manifest(name: str) -> Manifest:
    """Opens what the command line names.

    Args:
        name: A manifest's file, or `rendered`: the rendered set of `fit` without a data root, made if it is missing.

    Returns:
        The manifest.

    Raises:
        DataError: The file is missing, damaged, or no manifest.
    """
    if name == WORD:
        return prepared_manifest(Market1501(), rendered_root(_SETTINGS), RENDERED)
    manifest = Manifest.open(Path(name), remedy="Name another manifest.")
    check_content(manifest)
    return manifest


def check_folder(folder: Path, option: str, manifests: Iterable[Manifest]) -> None:
    """Refuses a folder that could not be written to, or that belongs to a data set.

    Args:
        folder: Where files are to go; it will be made if it is missing.
        option: The option that names it.
        manifests: The manifests at hand: nothing is written into their roots.

    Raises:
        ConfigError: It is a file, may not be written, or lies in the root of a data set.
    """
    place = folder.absolute()
    there = next(parent for parent in (place, *place.parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(f"{option} {folder}: {there} is no folder that can be written. Name another place.")
    for manifest in manifests:
        if place.resolve().is_relative_to(manifest.root.resolve()):
            raise ConfigError(
                f"{option} {folder}: this is inside the data set {manifest.root}, which is never written to. "
                "Name another place."
            )
