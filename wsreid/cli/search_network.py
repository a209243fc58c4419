"""The network that `python -m wsreid search` embeds with: a run's, or an exported file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wsreid.cli.search_options import SearchOptions
from wsreid.data.manifest import Manifest
from wsreid.retrieval.features import Metric
from wsreid.tracking.loaded_run import Image


class SearchNetwork(Protocol):
    """What `search` needs of a network."""

    @property
    def file(self) -> Path:
        """The checkpoint, or the exported file."""

    @property
    def feature_dim(self) -> int:
        """Width D of its features."""

    @property
    def metric(self) -> Metric:
        """The similarity of its features."""

    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Features `(N, D)` of RGB images of any size."""

    def own_gallery(self) -> Path:
        """Where its gallery features are.

        Raises:
            ConfigError: There are none, or it is not known; the message says how to make them.
        """

    def check_origin(self, path: Path, origin: Mapping[str, str]) -> None:
        """Refuses features of another network: scores between two networks mean nothing.

        Args:
            path: The features, for messages.
            origin: What `predict` wrote of where they come from.

        Raises:
            ConfigError: Another network made them.
        """

    def manifest_of(self, origin: Mapping[str, str]) -> tuple[Manifest | None, str | None]:
        """The manifest that the rows of features are of, else why paths and images are not known.

        Args:
            origin: What `predict` wrote of where they come from; empty = they are of another file.
        """


UNKNOWN = "Paths and images are not known: name the manifest that the rows are of with --manifest FILE."


def open_network(options: SearchOptions) -> SearchNetwork:
    """Opens what the options name.

    Args:
        options: A run, or an exported file.

    Returns:
        The network, ready to embed.

    Raises:
        WsreidError: It is missing or damaged.
    """
    if options.model is not None:
        from wsreid.cli.search_exported import ExportedNetwork

        return ExportedNetwork(options.model)
    from wsreid.cli.search_run import RunNetwork

    return RunNetwork(options)
