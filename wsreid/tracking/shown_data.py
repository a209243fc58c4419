"""Which bags and which query/match pairs are shown: a seeded draw from a manifest and its bags."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wsreid.data.bags import Bags
from wsreid.data.images import read_image
from wsreid.data.manifest import Manifest, Split
from wsreid.data.seeding import stream
from wsreid.data.splits import has_match
from wsreid.tracking.bag_figure import ShownBag, ShownPair


def draw_bags(manifest: Manifest, bags: Bags, *, count: int, images: int, seed: int) -> list[ShownBag]:
    """Draws bags, and images of each.

    Args:
        manifest: The images.
        bags: Bags of its rows.
        count: How many bags; all where there are fewer.
        images: Images of each bag, in the bag's order; all where it has fewer.
        seed: Seed of the draw.

    Returns:
        The bags, in the order of the file.

    Raises:
        UnreadableImage: An image is missing or damaged.
    """
    shown = []
    for bag in _some(stream("show-bags: bags", seed), len(bags), count).tolist():
        places = _some(stream("show-bags: images", seed, bag), int(bags.sizes[bag]), images)
        pids = manifest.identities[bags.candidates(bag)]
        shown.append(
            ShownBag(
                bag_id=int(bags.bag_id[bag]),
                size=int(bags.sizes[bag]),
                label=tuple(manifest.pid_name(pid) for pid in pids.tolist()),
                images=tuple(read_image(manifest.location(row)) for row in bags.rows(bag, places).tolist()),
            )
        )
    return shown


def draw_pairs(manifest: Manifest, *, count: int, seed: int) -> list[ShownPair]:
    """Draws queries, and a match of each: the same identity, seen by another camera where cameras are known.

    Args:
        manifest: The images.
        count: How many pairs; fewer where fewer queries have a match.
        seed: Seed of the draw.

    Returns:
        The pairs, in the order of the queries.

    Raises:
        UnreadableImage: An image is missing or damaged.
    """
    query, gallery = manifest.row_range(Split.QUERY), manifest.row_range(Split.GALLERY)
    if not len(query) or not len(gallery):
        return []
    pid, camera = (column[gallery.start : gallery.stop] for column in (manifest.pid, manifest.camera))
    q_pid, q_camera = (column[query.start : query.stop] for column in (manifest.pid, manifest.camera))
    usable = np.flatnonzero(has_match(q_pid, q_camera, pid, camera))
    blind = bool(np.all(camera[pid >= 0] < 0))  # as `has_match` takes it: then the identity is enough
    pairs = []
    for place in usable[_some(stream("show-bags: pairs", seed), len(usable), count)].tolist():
        right = pid == q_pid[place] if blind else (pid == q_pid[place]) & (camera != q_camera[place])
        hit = int(stream("show-bags: match", seed, place).choice(np.flatnonzero(right)))
        pairs.append(
            ShownPair(
                identity=manifest.pid_name(int(q_pid[place])),
                query=read_image(manifest.location(query.start + place)),
                match=read_image(manifest.location(gallery.start + hit)),
                query_camera=int(q_camera[place]),
                match_camera=int(camera[hit]),
            )
        )
    return pairs


def _some(rng: np.random.Generator, total: int, count: int) -> NDArray[np.int64]:
    """At most `count` of 0..total - 1, ascending."""
    return np.sort(rng.choice(total, size=min(count, total), replace=False)).astype(np.int64)
