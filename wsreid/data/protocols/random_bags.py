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
) -> BagDraft:
    """Cuts each identity's shuffled images into chunks of k and deals these into bags of n different identities.

    A remainder of fewer than k images joins the identity's last chunk, so a chunk holds k to 2k - 1 images; an
    identity with fewer than k images is one chunk. Every image is in exactly one bag.

    Args:
        rows: Manifest rows to put into bags, unique, `(N,)`.
        classes: Class index of each row, `(N,)`.
        ids_per_bag: Identities in a bag, n; see `deal` for bags that have fewer.
        images_per_id: Images in a chunk, k, or `"all"` for one chunk for each identity.
        rng: Where the randomness comes from.

    Returns:
        The bags; each one's candidates are the identities of its images.
    """
    shuffle = rng.permutation(len(rows))
    shuffle = shuffle[np.argsort(classes[shuffle], kind="stable")]  # by identity, shuffled within
    rows, classes = rows[shuffle], classes[shuffle]
    _, identity, count = np.unique(classes, return_inverse=True, return_counts=True)  # (N,), (I,)
    chunks = np.ones_like(count) if images_per_id == "all" else np.maximum(count // images_per_id, 1)  # (I,)
    place = np.arange(len(rows)) - (np.cumsum(count) - count)[identity]  # (N,): position within the identity
    per_chunk = len(rows) if images_per_id == "all" else images_per_id
    chunk = np.minimum(place // per_chunk, chunks[identity] - 1)  # (N,): chunk within the identity

    bags = deal(chunks, ids_per_bag, rng)
    short = sum(len(bag) < ids_per_bag for bag in bags)
    if short > 1:
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
    bag_of_chunk = bag_of_dealt[np.argsort(dealt, kind="stable")]
    owner = bag_of_chunk[(np.cumsum(chunks) - chunks)[identity] + chunk]  # (N,)
    return draft_from_images(owner, rows, classes)
