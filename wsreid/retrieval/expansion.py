"""Query expansion: a query takes up the gallery images that it finds."""

from __future__ import annotations

import numpy as np
import torch

from wsreid.errors import ConfigError
from wsreid.retrieval.distances import Distances
from wsreid.retrieval.expansion_settings import QueryExpansion
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.neighbours import nearest
from wsreid.retrieval.scores import scaled_rows
from wsreid.retrieval.stacked import StackedTable


def expanded_queries(
    query: FeatureTable, gallery: FeatureTable, settings: QueryExpansion, *, metric: Metric, memory: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Expands the queries; labels, cameras and junk play no part.

    Args:
        query: Q rows.
        gallery: G rows.
        settings: How many images to take up, and their weight.
        metric: Must be `cosine`: the sum is one of normalised features.
        memory: Bytes that the working arrays may take.

    Returns:
        `(Q, D)` float32, of norm 1 (a row of zeros that finds nothing stays).

    Raises:
        ConfigError: Another metric, or fewer than k gallery images.
    """
    if metric != "cosine":
        raise ConfigError(f"query expansion adds up normalised features: metric={metric!r} must be 'cosine'.")
    if settings.k > gallery.rows:
        raise ConfigError(f"expand.k={settings.k}: the gallery has {gallery.rows} images only; give at most that.")
    distances = Distances(StackedTable(query, gallery), metric=metric, memory=memory)
    n_query, device = query.rows, query.device
    first, second = torch.arange(n_query, device=device), torch.arange(gallery.rows, device=device) + n_query
    found = nearest(distances, first, second, settings.k) if settings.k else None
    result = np.empty((n_query, query.width), dtype=np.float32)
    step = max(1, memory // (40 * (settings.k + 1) * query.width))
    for start in range(0, n_query, step):
        total = scaled_rows(query, first[start : start + step], metric)[0]  # (q, D)
        if found is not None:
            index = torch.from_numpy(found.index[start : start + step]).to(device)  # (q, k)
            pairs = first[start : start + step].repeat_interleave(settings.k), second[index.flatten()]
            cosine = 1 - distances.between(*pairs).view(index.shape) / 2  # (q k,) -> (q, k)
            weight = cosine.clamp(min=0) ** settings.alpha if settings.alpha else torch.ones_like(cosine)
            images = scaled_rows(gallery, index.flatten(), metric)[0].view(*index.shape, -1)  # (q, k, D)
            for place in range(settings.k):  # one at a time: the order of the sum is fixed
                total += weight[:, place, None] * images[:, place]
        norm = torch.linalg.vector_norm(total, dim=1, keepdim=True)
        result[start : start + step] = (total / torch.where(norm > 0, norm, 1.0)).float().cpu().numpy()
    return result
