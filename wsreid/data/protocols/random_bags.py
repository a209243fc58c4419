"""The protocol `random`: chunks of each identity dealt into bags of n different identities."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bag_draft import BagDraft, draft_from_images
from wsreid.data.protocols.dealing import deal

_log = logging.getLogger(__name__)


def random_bags(
    rows: NDArray[np.int64],
    classes: NDArray[np.int64],
    *,
    ids_per_bag: int,
    images_per_id: int | Literal["all"],
    rng: np.random.Generator,
    unbalanced: float = 0.0,
    overlap: float = 0.0,
    noise: np.random.Generator | None = None,
) -> BagDraft:
    """Cuts each identity's shuffled images into chunks of k and deals these into bags of n different identities.

    A remainder of fewer than k images joins the identity's last chunk, so a chunk holds k to 2k - 1 images; an
    identity with fewer than k images is one chunk. Every image is in exactly one bag, or with `overlap` in one or two.

    Args:
        rows: Manifest rows to put into bags, unique, `(N,)`.
        classes: Class index of each row, `(N,)`.
        ids_per_bag: Identities in a bag, n; see `deal` for bags that have fewer.
        images_per_id: Images in a chunk, k, or `"all"` for one chunk for each identity.
        rng: Where the randomness comes from.
        unbalanced: How far each cut between two chunks of an identity moves, in 0..1: with S = `unbalanced * (k - 1)`,
            rounded, uniformly to one of S + 1 neighbouring places. A chunk then holds at least k - S images, and at
            most k + S, the last one the remainder besides; the number of chunks stays.
        overlap: Probability that a chunk is dealt a second time, into another bag.
        noise: Where the randomness of these two comes from, so that they leave that of the bags as it was.

    Returns:
        The bags; each one's candidates are the identities of its images.

    Raises:
        ValueError: `unbalanced` or `overlap` without `noise`.
    """
    if noise is None and (unbalanced or overlap):
        raise ValueError("unbalanced and overlap are random: give noise, a generator of their own")
    shuffle = rng.permutation(len(rows))
    shuffle = shuffle[np.argsort(classes[shuffle], kind="stable")]  # by identity, shuffled within
    rows, classes = rows[shuffle], classes[shuffle]
    _, identity, count = np.unique(classes, return_inverse=True, return_counts=True)  # (N,), (I,)
    chunks = np.ones_like(count) if images_per_id == "all" else np.maximum(count // images_per_id, 1)  # (I,)
    first = np.cumsum(chunks) - chunks  # (I,): the identity's first chunk, in the numbering of all chunks
    place = np.arange(len(rows)) - (np.cumsum(count) - count)[identity]  # (N,): position within the identity
    per_chunk = len(rows) if images_per_id == "all" else images_per_id
    chunk = first[identity] + np.minimum(place // per_chunk, chunks[identity] - 1)  # (N,)
    twice = np.zeros(int(chunks.sum()), bool)
    if noise is not None:
        move, again = noise.spawn(2)
        if unbalanced:
            chunk = _move_cuts(chunk, first, round(unbalanced * (per_chunk - 1)), move)
        twice = again.random(len(twice)) < overlap

    dealt = chunks + np.add.reduceat(twice, first, dtype=np.int64)  # (I,): chunks to deal, those dealt twice included
    owner_of = _owners(dealt, ids_per_bag, rng)  # (D,): the bags of the dealt chunks, identity after identity
    of_identity = np.repeat(np.arange(len(chunks)), chunks)  # (K,): identity of each chunk
    once = np.arange(len(twice)) - first[of_identity] + (np.cumsum(dealt) - dealt)[of_identity]  # (K,): place in D
    extra = (np.cumsum(twice) - 1) - (np.cumsum(dealt - chunks) - (dealt - chunks))[of_identity]  # (K,): which repeat
    second = (np.cumsum(dealt) - dealt + chunks)[of_identity] + extra  # (K,): place in D, where dealt twice
    repeated = np.flatnonzero(twice[chunk])  # images that lie in a second bag
    return draft_from_images(
        np.concatenate([owner_of[once[chunk]], owner_of[second[chunk[repeated]]]]),
        np.concatenate([rows, rows[repeated]]),
        np.concatenate([classes, classes[repeated]]),
    )


def _move_cuts(
    chunk: NDArray[np.int64], first: NDArray[np.int64], spread: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Moves each cut between two chunks of an identity to one of `spread` + 1 places around it."""
    cuts = np.flatnonzero(np.diff(chunk)) + 1  # (K - 1,): first image of each chunk but the very first
    inside = ~np.isin(chunk[cuts], first)  # between two chunks of one identity
    cuts[inside] += rng.integers(0, spread + 1, int(inside.sum())) - spread // 2
    return np.searchsorted(cuts, np.arange(len(chunk)), side="right").astype(np.int64)


def _owners(chunks: NDArray[np.int64], ids_per_bag: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deals chunks `(I,)` of each identity; the bag of each, identity after identity, `(sum of chunks,)`."""
    bags = deal(chunks, ids_per_bag, rng)
    short = sum(len(bag) < ids_per_bag for bag in bags)
    if len(chunks) < ids_per_bag:
        _log.warning(
            "data.bags.ids_per_bag is %d, but there are %d identities to put into bags: no bag holds more than these.",
            ids_per_bag,
            len(chunks),
        )
    elif short > 1:
        _log.warning(
            "%d of %d bags hold fewer than %d identities: some identities have too many images for the others to "
            "keep up. Raise data.bags.images_per_id to even this out.",
            short,
            len(bags),
            ids_per_bag,
        )
    dealt = np.concatenate(bags)  # (sum of chunks,): the identities in the order in which they were dealt
    bag_of_dealt = np.repeat(np.arange(len(bags)), [len(bag) for bag in bags])
    # Sorted by identity, the bags stand where the chunks stand: an identity's c-th chunk lies in its c-th bag.
    return bag_of_dealt[np.argsort(dealt, kind="stable")]
