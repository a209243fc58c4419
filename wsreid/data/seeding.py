"""Independent random streams, each named by its purpose and keyed on plain integers."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray


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


def scrambled(numbers: NDArray[np.integer], seed: int = 0) -> NDArray[np.uint64]:
    """A hash of whole numbers, by which some of them are chosen: the same ones whatever others there are.

    Args:
        numbers: Of any shape.
        seed: Another seed chooses others.

    Returns:
        uint64 of the same shape.
    """
    # splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014)
    x = numbers.astype(np.uint64) + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


class Substreams:
    """Many streams of one purpose, each several times as fast to reach as by `stream`: one for each of many bags.

    The streams are stretches of 2^64 numbers of one counter-based generator (Philox; Salmon et al., "Parallel Random
    Numbers: As Easy as 1, 2, 3", SC 2011), so that any of them is reached by setting the counter.

    Args:
        purpose: As for `stream`.
        *key: As for `stream`.
    """

    def __init__(self, purpose: str, *key: int) -> None:
        self._source = np.random.Philox(np.random.SeedSequence([zlib.crc32(purpose.encode()), *key]))
        self._generator = np.random.Generator(self._source)
        self._start = self._source.state

    def __getitem__(self, number: int) -> np.random.Generator:
        """The stream of a non-negative number, from its start; good until the next one is asked for."""
        self._start["state"]["counter"] = np.array([0, number, 0, 0], np.uint64)
        self._source.state = self._start
        return self._generator
