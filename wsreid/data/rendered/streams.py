"""Independent random streams, one per thing that is drawn."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """What a stream is for; the first word of its spawn key."""

    NUMBERS = 0
    LOOK = 1
    CAMERA = 2
    VISITS = 3
    WALKS = 4
    IMAGE = 5
    CLUTTER = 6


def stream(seed: int, purpose: Stream, *key: int) -> np.random.Generator:
    """Generator that depends on (seed, purpose, key) alone, so that no drawing order matters.

    Args:
        seed: Seed of the set.
        purpose: What is drawn.
        *key: Which one of them: identity, camera, frame, ...; each at least 0.

    Returns:
        A fresh PCG64 generator.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(int(purpose), *key))))
