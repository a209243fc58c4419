"""Embeddings as a table for W&B's projector: a column for each principal component."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wsreid.data.manifest import Manifest, Split
from wsreid.data.seeding import scrambled

MOST_COMPONENTS: Final = 64
_Floats = NDArray[np.float32]


def shown_rows(manifest: Manifest, count: int) -> NDArray[np.int64]:
    """Test images, whole identities one after another in the order of a hash: the same ones for every method.

    Args:
        manifest: The images; distractors and junk are left out.
        count: How many; all where there are fewer.

    Returns:
        Manifest rows, ascending, `(n,)`.
    """
    rows = np.concatenate([manifest.rows(Split.QUERY), manifest.rows(Split.GALLERY)])
    pid = manifest.take("pid", rows)
    rows, pid = rows[pid > 0], pid[pid > 0]
    order = np.lexsort((rows, scrambled(pid)))
    return np.sort(rows[order[:count]])


@dataclass(frozen=True)
class EmbeddingTable:
    """What the projector reads.

    Attributes:
        columns: `image`, `file`, `identity`, `camera`, then `PC1`, `PC2`, ...
        cells: A row for each image.
        variance: Share of the variance that the components hold.
    """

    columns: list[str]
    cells: list[list[object]]
    variance: float


def embedding_table(
    rows: NDArray[np.int64],
    images: Sequence[NDArray[np.uint8]],
    features: _Floats,
    manifest: Manifest,
    describe: Callable[[int], str],
) -> EmbeddingTable:
    """A row for each image.

    Args:
        rows: Manifest rows, `(N,)`.
        images: RGB, `(H, W, 3)` uint8 each.
        features: `(N, D)`.
        manifest: What the rows are.
        describe: What to call the image of a manifest row.

    Returns:
        The table.
    """
    axes, variance = principal_components(features)
    facts = zip(manifest.take("pid", rows).tolist(), manifest.take("camera", rows).tolist(), strict=True)
    cells: list[list[object]] = [
        [image, describe(row), manifest.pid_name(pid), camera, *values]
        for row, image, (pid, camera), values in zip(rows.tolist(), images, facts, axes.tolist(), strict=True)
    ]
    components = [f"PC{k + 1}" for k in range(axes.shape[1])]
    return EmbeddingTable(["image", "file", "identity", "camera", *components], cells, variance)


def principal_components(features: _Floats, most: int = MOST_COMPONENTS) -> tuple[_Floats, float]:
    """Normalised features, turned onto the axes along which they differ most.

    W&B's projector takes a column of the table for each axis, and thousands of those are too many for it.

    Args:
        features: `(N, D)`.
        most: Axes at most.

    Returns:
        `(N, min(N, D, most))`, and the share of the variance that they hold: 1 = distances are as they were.
    """
    length = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)  # (N, D) -> (N, 1)
    unit = features / np.maximum(length, np.finfo(np.float64).tiny)
    centred = unit - unit.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)  # (N, D) -> (N, K), (K,)
    kept = min(most, len(values))
    total = float((values**2).sum())
    share = float((values[:kept] ** 2).sum()) / total if total > 0 else 1.0
    return (left[:, :kept] * values[:kept]).astype(np.float32), share
