"""What a rendered set is made of."""

import dataclasses
import hashlib
import json

from wsreid.errors import ConfigError

RENDERER_VERSION = 1  # raise it with every change that alters a byte of a rendered image


@dataclasses.dataclass(frozen=True)
class RenderSettings:
    """Settings of a rendered set; two equal settings give the same bytes.

    Args:
        seed: Seed of everything: people, cameras, walks, noise. Seed 1 is for choosing, seed 2 for tables.
        train_ids: Number of training identities.
        test_ids: Number of test identities; none of them is in training.
        cameras: Number of cameras, at least 2; both splits see all of them.
        images_per_id: Mean number of images of an identity.
        sequences: Sequences per camera and split (the training walks are in sequences 1..s, the test walks in s+1..2s).
        distractors: Gallery images with id 0000: background and ill-cut boxes of strangers.
        junk: Gallery images with id -1: ill-cut boxes of the test identities.

    Raises:
        ConfigError: A setting out of range.
    """

    seed: int = 1
    train_ids: int = 100
    test_ids: int = 100
    cameras: int = 6
    images_per_id: int = 12
    sequences: int = 2
    distractors: int = 150
    junk: int = 60

    def __post_init__(self) -> None:
        lowest = {
            "seed": 0,
            "train_ids": 2,
            "test_ids": 2,
            "cameras": 2,
            "images_per_id": 4,
            "sequences": 1,
            "distractors": 0,
            "junk": 0,
        }
        for name, least in lowest.items():
            value = getattr(self, name)
            if value < least:
                raise ConfigError(f"rendered set: {name} = {value}, but it must be at least {least}")

    @property
    def key(self) -> str:
        """Name of the set's cache folder: readable seed and size, then a hash of settings and renderer version."""
        text = json.dumps({"version": RENDERER_VERSION, **dataclasses.asdict(self)}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"seed{self.seed}-{self.train_ids}x{self.test_ids}-{digest}"
