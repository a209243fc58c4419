"""How the images are put into bags: the options under `data.bags`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wsreid.errors import ConfigError


@dataclass(frozen=True)
class BagSettings:
    """How the images are put into bags, and how wrong the bags' labels are.

    Args:
        protocol: random: chunks of each identity dealt into bags of different identities. windows: consecutive images
            of one camera and sequence. sysu: the folders of SYSU-30k by its bag_level_label.json, or sliding windows
            of folders where that file is missing.
        ids_per_bag: Identities in a bag, n (random).
        images_per_id: Images in a chunk, k, or all = one chunk for each identity (random).
        window: Images in a window (windows).
        window_frames: Length of a window in frames, instead of `window` (windows).
        sysu_widths: Folders in a bag, odd numbers: which of SYSU-30k's bags to take (sysu). Those of 1 folder have one
            candidate, as FolderCE needs.
        missing: Probability that a candidate is left out of a bag's label though its images are in the bag. Each
            (bag, candidate) is drawn by itself; a label never becomes empty.
        extra: Probability that a bag's label names one more training identity, of which the bag holds no image.
        unknown: Probability that an identity is an unknown person: its images stay where they are, but no bag's label
            names it. A bag of unknown persons alone has no label and is left out.
        unbalanced: How uneven the chunks of an identity are, 0..1 (random). 0 = k images each; 1 = 1 to 2k - 1
            images. Which identities share a bag does not depend on it.
        overlap: How much of a bag other bags hold too, 0..1. random: probability that a chunk lies in a second bag.
            windows: share of a window that the next one holds, below 1. It makes the labels alone say more: see
            `python -m wsreid bags`.
        seed: Seed of the bags and of the noise.

    Raises:
        ConfigError: A setting out of range.
    """

    protocol: Literal["random", "windows", "sysu"] = "random"
    ids_per_bag: int = 2
    images_per_id: int | Literal["all"] = 4
    window: int = 12
    window_frames: int | None = None
    sysu_widths: tuple[int, ...] = (1, 3, 5)
    missing: float = 0.0
    extra: float = 0.0
    unknown: float = 0.0
    seed: int = 0
    unbalanced: float = 0.0
    overlap: float = 0.0

    def __post_init__(self) -> None:
        if self.protocol not in ("random", "windows", "sysu"):
            raise ConfigError(f"data.bags.protocol must be random, windows or sysu, got {self.protocol!r}")
        for name in ("ids_per_bag", "images_per_id", "window", "window_frames"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise ConfigError(f"data.bags.{name} must be at least 1, got {value}")
        if isinstance(self.images_per_id, str) and self.images_per_id != "all":
            raise ConfigError(f"data.bags.images_per_id must be a number or all, got {self.images_per_id!r}")
        if not self.sysu_widths or any(width < 1 or width % 2 == 0 for width in self.sysu_widths):
            raise ConfigError(f"data.bags.sysu_widths must be odd numbers of folders, got {self.sysu_widths}")
        for name in ("unbalanced", "overlap"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"data.bags.{name} must be in 0..1, got {getattr(self, name)}")
        self._check_effect()
        for name in ("missing", "extra", "unknown"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ConfigError(f"data.bags.{name} is a probability, in 0..1, got {getattr(self, name)}")
        if self.seed < 0:
            raise ConfigError(f"data.bags.seed must not be negative, got {self.seed}")

    def _check_effect(self) -> None:
        """Refuses noise that the protocol cannot make."""
        if self.unbalanced and self.protocol != "random":
            raise ConfigError(
                f"data.bags.unbalanced {self.unbalanced}: bags of data.bags.protocol {self.protocol} are as uneven as "
                f"the images are. It goes with the protocol random."
            )
        if self.unbalanced and self.images_per_id in ("all", 1):
            raise ConfigError(
                f"data.bags.unbalanced {self.unbalanced} has no effect on chunks of data.bags.images_per_id "
                f"{self.images_per_id}. Give a number above 1."
            )
        if self.overlap and self.protocol == "sysu":
            raise ConfigError(
                f"data.bags.overlap {self.overlap}: the bags of data.bags.protocol sysu overlap by their widths. "
                f"Choose these with data.bags.sysu_widths."
            )
        if self.overlap == 1 and self.protocol == "windows":
            raise ConfigError("data.bags.overlap must be below 1 for data.bags.protocol windows: a window must move on")
