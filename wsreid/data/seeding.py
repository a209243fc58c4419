"""Independent random streams, each named by its purpose and keyed on plain integers."""

from __future__ import annotations

import zlib

import numpy as np


def stream(purpose: str, *key: int) -> np.random.Generator:
    """A generator for one purpose and key, independent of all others.

    Args:
        purpose: What the numbers are for. Two purposes never share a stream, so turning one option on leaves the
            numbers of the others as they were.
        *key: Non-negative integers, such as (seed, epoch). A purpose always takes the same number of them.

    Returns:
        The same stream whenever called with the same arguments, in any process.
    """
    return np.random.default_rng([zlib.crc32(purpose.encode()), *key])
