"""How the images of a training batch are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bags import Bags
from wsreid.data.manifest import Manifest
from wsreid.data.samplers import BagSampler, IdentitySampler, PairedBagSampler
from wsreid.data.samplers.folder_sampler import FolderSampler
from wsreid.data.samplers.paired_bag_sampler import check_room_for_pairs
from wsreid.errors import ConfigError

Draw = Literal["bags", "folders"]
"""What a bag's images in a batch are drawn from: the bag, or each of its folders evenly, see `FolderSampler`."""


@dataclass(frozen=True)
class TrainingDraw:
    """Sizes of training batches, and the sampler that draws them.

    Args:
        bags_per_batch: Bags in a batch.
        images_per_bag: Most images of a bag in a batch.
        ids_per_batch: Identities in a batch that is drawn by identity.
        images_per_id: Images of each identity in such a batch.
        draw: What a bag's images are drawn from.

    Raises:
        ConfigError: A size below 1, or no such draw.
    """

    bags_per_batch: int
    images_per_bag: int
    ids_per_batch: int
    images_per_id: int
    draw: Draw = "bags"

    def __post_init__(self) -> None:
        for name in ("bags_per_batch", "images_per_bag", "ids_per_batch", "images_per_id"):
            if getattr(self, name) < 1:
                raise ConfigError(f"data.{name} must be at least 1, got {getattr(self, name)}")
        if self.draw not in get_args(Draw):
            raise ConfigError(f"data.draw must be one of {', '.join(get_args(Draw))}, got {self.draw!r}")

    def check_pairs(self, redrawn: bool) -> None:
        """Verifies that bags can be drawn in pairs that share a label.

        Args:
            redrawn: Whether the bags are drawn anew for each epoch.

        Raises:
            ConfigError: They cannot.
        """
        if redrawn:
            raise ConfigError("data.redraw_bags: the method pairs bags that share a label, and bags are drawn anew")
        if self.draw == "folders":
            raise ConfigError("data.draw folders: the method pairs bags that share a label; use data.draw bags")
        check_room_for_pairs(self.bags_per_batch)

    def described(self, by_identity: bool, paired: bool = False) -> dict[str, int | str]:
        """What the plan of an epoch depends on, by option name."""
        identity: dict[str, int | str] = {
            "data.ids_per_batch": self.ids_per_batch,
            "data.images_per_id": self.images_per_id,
        }
        bag = {"data.bags_per_batch": self.bags_per_batch, "data.images_per_bag": self.images_per_bag}
        draw = f"{self.draw}, in pairs that share a label" if paired else self.draw
        return {"data.draw": draw, **bag, **(identity if by_identity else {})}

    def by_bag(
        self,
        manifest: Manifest,
        bags: Bags,
        seed: int,
        rank: int,
        world_size: int,
        redraw: Callable[[int], Bags] | None = None,
        paired: bool = False,
    ) -> BagSampler:
        """Draws bags, each once in an epoch.

        Args:
            manifest: The images.
            bags: The training bags.
            seed: Seed of the draw.
            rank: Which process this is.
            world_size: Number of processes.
            redraw: Makes the bags of an epoch anew; None = the bags stay as they are. Not for folders.
            paired: In pairs that share a label, see `check_pairs`.

        Raises:
            ConfigError: The bags cannot be drawn like this.
        """
        if paired:
            self.check_pairs(redraw is not None)
            return PairedBagSampler(
                bags,
                bags_per_batch=self.bags_per_batch,
                images_per_bag=self.images_per_bag,
                seed=seed,
                rank=rank,
                world_size=world_size,
            )
        if self.draw == "folders":
            return FolderSampler(
                bags,
                manifest.sequence,
                bags_per_batch=self.bags_per_batch,
                images_per_bag=self.images_per_bag,
                seed=seed,
                rank=rank,
                world_size=world_size,
            )
        return BagSampler(
            bags,
            bags_per_batch=self.bags_per_batch,
            images_per_bag=self.images_per_bag,
            seed=seed,
            rank=rank,
            world_size=world_size,
            redraw=redraw,
        )

    def by_identity(
        self, manifest: Manifest, rows: NDArray[np.int64], images_per_epoch: int, seed: int, rank: int, world_size: int
    ) -> IdentitySampler:
        """Draws identities, for an oracle that needs that.

        Args:
            manifest: The images.
            rows: Manifest rows to train on, `(N,)`.
            images_per_epoch: Images to draw in an epoch, all ranks together.
            seed: Seed of the draw.
            rank: Which process this is.
            world_size: Number of processes.
        """
        return IdentitySampler(
            rows,
            manifest.class_index(manifest.pid[rows]),
            ids_per_batch=self.ids_per_batch,
            images_per_id=self.images_per_id,
            images_per_epoch=images_per_epoch,
            seed=seed,
            rank=rank,
            world_size=world_size,
        )
