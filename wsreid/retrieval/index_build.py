"""Fills an index of FAISS with a gallery, tile by tile."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsreid.retrieval.faiss_library import GPU_LIMIT, load_faiss
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.junk import Ints
from wsreid.retrieval.search_rows import SearchRows
from wsreid.retrieval.search_settings import SearchSettings

LEARNT_FROM = 64  # images for each cell or code: FAISS' k-means gains little from more


def empty_index(settings: SearchSettings, rows: int, width: int, metric: Metric, seed: int) -> Any:  # noqa: ANN401
    """An index without images, its random parts seeded."""
    faiss = load_faiss()
    kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    index = faiss.index_factory(width, settings.factory(rows, width), kind)
    if settings.kind == "hnsw":
        index.hnsw.efConstruction = settings.ef_construction
        return index
    index.nprobe = min(settings.probes(rows), GPU_LIMIT)
    clusterings = [index.cp]
    if settings.kind == "pq":
        index.do_polysemous_training = False  # half a minute for a filter on Hamming distance that is not used
        clusterings.append(index.pq.cp)
    for clustering in clusterings:
        clustering.seed = seed % 2**31
        clustering.min_points_per_centroid = 1  # FAISS would warn of small galleries
    return index


def fill_index(
    index: Any,  # noqa: ANN401
    scaled: SearchRows,
    held: Ints,
    settings: SearchSettings,
    seed: int,
    memory: int,
) -> None:
    """Learns cells and codes from a sample, then adds the held rows tile by tile."""
    width = scaled.table.width
    if not index.is_trained:
        least = settings.cells(len(held))
        if settings.kind == "pq":
            least = max(least, 2 ** settings.code_bits(len(held)))
        size = min(len(held), max(least, min(LEARNT_FROM * least, memory // (12 * width))))
        drawn = np.sort(np.random.default_rng(seed).choice(len(held), size, replace=False))
        index.train(_sample(scaled, held[drawn], memory))
    step = max(1, memory // 2 // (20 * width))
    for start in range(0, scaled.table.rows, step):
        stop = min(start + step, scaled.table.rows)
        here = held[np.searchsorted(held, start) : np.searchsorted(held, stop)]
        if len(here):
            rows = scaled.slice(start, stop)  # (g, D)
            index.add(as_float32(rows if len(here) == len(rows) else rows[torch.from_numpy(here - start)]))


def _sample(scaled: SearchRows, rows: Ints, memory: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    out = np.empty((len(rows), scaled.table.width), dtype=np.float32)
    step = max(1, memory // 8 // (20 * scaled.table.width))
    for start in range(0, len(rows), step):
        index = torch.from_numpy(rows[start : start + step]).to(scaled.table.device)
        part = SearchRows(FeatureTable(scaled.table.pick(index), scaled.table.device), scaled.scale)
        out[start : start + step] = as_float32(part.slice(0, len(index)))  # (n, D)
    return out


def as_float32(rows: Tensor) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Rows `(N, D)` as FAISS takes them."""
    return np.ascontiguousarray(rows.cpu().numpy(), dtype=np.float32)
