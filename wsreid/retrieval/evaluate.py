"""Features in, retrieval figures out: exact ranks by counting."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from wsreid.errors import FeatureError
from wsreid.retrieval.checks import check_features, check_ids, squared_norms
from wsreid.retrieval.counting import Counts, count_better
from wsreid.retrieval.errors import NoMatchError
from wsreid.retrieval.features import Array, FeatureTable, Metric, exact_scores, scale_rows
from wsreid.retrieval.junk import UNKNOWN, Ints, Pairs, junk_rule, same_identity_pairs
from wsreid.retrieval.metrics import Floats, cumulative_matches, query_figures
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.thresholds import Thresholds

Ties = Literal["mid", "optimistic", "pessimistic"]
_TIE_SHARE = {"optimistic": 0.0, "mid": 0.5, "pessimistic": 1.0}


def evaluate(
    query: Array,
    gallery: Array,
    *,
    q_pid: Array,
    g_pid: Array,
    q_cam: Array | None = None,
    g_cam: Array | None = None,
    metric: Metric = "cosine",
    ties: Ties = "mid",
    max_rank: int = 50,
    topk: int | None = None,
    query_row: Array | None = None,
    gallery_row: Array | None = None,
    memory_mb: int = 512,
    device: torch.device | str | None = None,
) -> RetrievalResult:
    """Scores a retrieval exactly: CMC, both average precisions, mINP, and the rank of each match.

    The order is that of s, the sum in one fixed order of the float64 products of the (normalised) features, so the
    figures do not depend on tiles, memory, threads, device or the order of the gallery, and a duplicated image ties.
    Neither the gallery nor a row of scores is ever sorted, and no Q x G matrix is held.

    Args:
        query: `(Q, D)` float16, bfloat16, float32 or float64.
        gallery: `(G, D)`, the same types; may be memory-mapped.
        q_pid: Identities, `(Q,)` whole numbers; -1 = unknown, such a query has no match.
        g_pid: Identities, `(G,)`; -1 = junk for all queries.
        q_cam: Cameras, `(Q,)`; -1 = unknown, equals no other. None, or all -1: there are no cameras.
        g_cam: Cameras, `(G,)`.
        metric: `cosine` (a row of zeros scores 0 with all), `dot`, or `euclidean` (nearest first).
        ties: Where non-matches that tie with a match go: half of them before it, all behind it, all before it.
        max_rank: Length of the CMC curve.
        topk: Also list the best `topk` gallery images of each query, by FAISS; None = do not.
        query_row: The caller's name of each query, `(Q,)`, for instance its row in a manifest; None = 0..Q-1.
        gallery_row: The same for the gallery, `(G,)`: the names that `topk` lists.
        memory_mb: Working memory, features aside.
        device: Where to compute; None = where the gallery is. A device without float64 (mps) is replaced by the CPU.

    Returns:
        The figures, over the valid queries and over all.

    Raises:
        NonFiniteFeaturesError: Features hold NaN or inf; it names the side and the rows.
        NoMatchError: No query has a match.
        FeatureError: Shapes, lengths or types do not fit.
        ValueError: An option is out of its range.
    """
    _check_options(metric, ties, max_rank, topk, memory_mb)
    check_features(query, "query")
    check_features(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise FeatureError(
            f"query features have {query.shape[1]} dimensions, gallery features {gallery.shape[1]}: "
            "they must come from the same model."
        )
    n_query, n_gallery = int(query.shape[0]), int(gallery.shape[0])
    q_ids = check_ids(q_pid, "q_pid", n_query, "query")
    g_ids = check_ids(g_pid, "g_pid", n_gallery, "gallery")
    q_cams, g_cams = _cameras(q_cam, g_cam, n_query, n_gallery)
    cameras_known = bool((q_cams != UNKNOWN).any() and (g_cams != UNKNOWN).any())
    rows = np.arange(n_query) if query_row is None else check_ids(query_row, "query_row", n_query, "query")
    names = None if gallery_row is None else check_ids(gallery_row, "gallery_row", n_gallery, "gallery")

    pairs = same_identity_pairs(q_ids, g_ids, q_cams, g_cams)
    _require_match(pairs, n_query)
    memory = memory_mb * 2**20
    where = _device(gallery, device)
    tables = FeatureTable(query, where), FeatureTable(gallery, where)
    squares = squared_norms(tables[0], "query", memory=memory), squared_norms(tables[1], "gallery", memory=memory)
    scaled_query, scaled_gallery = scale_rows(*tables, *squares, metric=metric)

    match_query = torch.from_numpy(pairs.query[~pairs.junk]).to(where)
    match_gallery = torch.from_numpy(pairs.gallery[~pairs.junk]).to(where)
    scores = exact_scores(
        scaled_query, scaled_gallery, match_query, match_gallery, metric=metric, memory=memory
    )  # (M,)
    thresholds = sort_thresholds(match_query, scores, n_query)
    counts = count_better(scaled_query, scaled_gallery, g_ids, pairs, thresholds, metric=metric, memory=memory)
    ranks = match_ranks(thresholds, counts, share=_TIE_SHARE[ties])

    listed = None
    if topk is not None:
        from wsreid.retrieval.faiss_topk import ranked_lists  # faiss is loaded only where lists are asked for

        listed = ranked_lists(scaled_query, scaled_gallery, g_ids, pairs, topk, metric=metric, memory=memory)
        if names is not None:
            listed = np.where(listed >= 0, names[listed], -1)

    figures = query_figures(ranks)
    valid = ~np.isnan(figures.first)
    n_valid = int(valid.sum())
    return RetrievalResult(
        cmc=cumulative_matches(figures.first, max_rank, over=n_valid),
        map_step=float(figures.ap_step[valid].mean()),
        map_trapezoid=float(figures.ap_trapezoid[valid].mean()),
        minp=float(figures.inp[valid].mean()),
        cmc_all=cumulative_matches(figures.first, max_rank, over=n_query),
        map_step_all=float(figures.ap_step[valid].sum() / n_query),
        map_trapezoid_all=float(figures.ap_trapezoid[valid].sum() / n_query),
        minp_all=float(figures.inp[valid].sum() / n_query),
        n_query=n_query,
        n_valid=n_valid,
        n_tied=int((counts.tied > 0).sum()),
        ranks=ranks,
        query_row=rows.astype(np.int64),
        topk=listed,
        definition={
            "metric": metric,
            "ap": "map_step: (i+1)/(r+1); map_trapezoid: mean of (i+1)/(r+1) and i/r (1 if r = 0)",
            "junk": junk_rule(cameras_known),
            "ties": ties,
            "protocol": "market1501" if cameras_known else "none",
            "average": "map_step, map_trapezoid, minp, cmc: over queries with a match; *_all: over all queries",
            "score": "float64 row sum of products of features"
            + (" divided by their norms" if metric == "cosine" else ""),
            "n_gallery": n_gallery,
            "n_gallery_junk": int((g_ids == UNKNOWN).sum()),
        },
    )


def sort_thresholds(match_query: Tensor, scores: Tensor, n_query: int) -> Thresholds:
    """Orders matches by query, then by score ascending.

    Args:
        match_query: Query of each match, `(M,)` long, ascending.
        scores: Exact scores, `(M,)` float64.
        n_query: Number Q of queries.

    Returns:
        The thresholds of the Q queries.
    """
    by_score = torch.sort(scores, stable=True).indices
    order = by_score[torch.sort(match_query[by_score], stable=True).indices]
    counts = torch.bincount(match_query, minlength=n_query)
    return Thresholds(scores[order], torch.cat([counts.new_zeros(1), counts.cumsum(0)]))


def match_ranks(thresholds: Thresholds, counts: Counts, *, share: float) -> tuple[Floats, ...]:
    """The 0-based ranks r_i = i + h_i + t e_i of each query's matches (graph-model.md section 9).

    Args:
        thresholds: The matches of Q queries, ascending in score within a query.
        counts: h, the non-matches above each match, and e, those tied with it.
        share: t, the share of the tied that goes before the match.

    Returns:
        Q ascending float64 arrays.
    """
    offset = thresholds.offset.cpu().numpy()
    penalty = (counts.above.double() + share * counts.tied.double()).cpu().numpy()
    return tuple(penalty[a:b][::-1] + np.arange(b - a, dtype=np.float64) for a, b in pairwise(offset))


def _check_options(metric: str, ties: str, max_rank: int, topk: int | None, memory_mb: int) -> None:
    for name, value, known in (("metric", metric, get_args(Metric)), ("ties", ties, get_args(Ties))):
        if value not in known:
            raise ValueError(f"{name}={value!r}: expected one of {', '.join(known)}.")
    for name, number in (("max_rank", max_rank), ("topk", topk), ("memory_mb", memory_mb)):
        if number is not None and number < 1:
            raise ValueError(f"{name}={number}: expected at least 1.")


def _cameras(q_cam: Array | None, g_cam: Array | None, n_query: int, n_gallery: int) -> tuple[Ints, Ints]:
    if (q_cam is None) != (g_cam is None):
        given, missing = ("g_cam", "q_cam") if q_cam is None else ("q_cam", "g_cam")
        raise FeatureError(
            f"{given} is given but {missing} is not: the junk rule needs the cameras of both, or neither."
        )
    if q_cam is None or g_cam is None:
        return np.full(n_query, UNKNOWN), np.full(n_gallery, UNKNOWN)
    return check_ids(q_cam, "q_cam", n_query, "query"), check_ids(g_cam, "g_cam", n_gallery, "gallery")


def _require_match(pairs: Pairs, n_query: int) -> None:
    if (~pairs.junk).any():
        return
    if len(pairs.junk):
        raise NoMatchError(
            f"none of the {n_query} queries has a match: all {len(pairs.junk)} gallery images of their identities are "
            "of the query's own camera, which the junk rule removes. Give the right cameras, or none."
        )
    raise NoMatchError(
        f"none of the {n_query} queries has a match: query and gallery share no identity. "
        "Are q_pid and g_pid numbered alike?"
    )


def _device(gallery: Array, device: torch.device | str | None) -> torch.device:
    if device is None:
        device = gallery.device if isinstance(gallery, Tensor) else "cpu"
    device = torch.device(device)
    return torch.device("cpu") if device.type == "mps" else device
