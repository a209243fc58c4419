"""Features in, retrieval figures out: exact ranks by counting."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch

from wsreid.errors import ConfigError
from wsreid.retrieval.checks import check_choice, check_finite, check_positive, check_similarity
from wsreid.retrieval.errors import NoMatchError
from wsreid.retrieval.features import Array, Features, FeatureTable, Metric
from wsreid.retrieval.group import Alone, Group
from wsreid.retrieval.inputs import Inputs, check_inputs
from wsreid.retrieval.junk import Pairs, same_identity_pairs
from wsreid.retrieval.lost_queries import LostQueries, lost_by_counts
from wsreid.retrieval.protocols import Protocol, chosen_protocol
from wsreid.retrieval.ranking import exact_ranks
from wsreid.retrieval.result import RetrievalResult
from wsreid.retrieval.search_settings import SearchSettings, search_settings
from wsreid.retrieval.shot_ranks import shot_ranks
from wsreid.retrieval.watching import begin

if TYPE_CHECKING:
    from wsreid.retrieval.expansion_settings import QueryExpansion
    from wsreid.retrieval.rerank_settings import KReciprocal

logger = logging.getLogger(__name__)

Ties = Literal["mid", "optimistic", "pessimistic"]
SCORES: dict[Metric, str] = {
    "cosine": "float64 row sum of products of features divided by their norms",
    "dot": "float64 row sum of products of features",
    "euclidean": "2 s - |g|^2, s the float64 row sum of products of features",
}
TIE_SHARE = {"optimistic": 0.0, "mid": 0.5, "pessimistic": 1.0}


def evaluate(
    query: Features,
    gallery: Features,
    *,
    q_pid: Array,
    g_pid: Array,
    q_cam: Array | None = None,
    g_cam: Array | None = None,
    metric: Metric = "cosine",
    ties: Ties = "mid",
    protocol: Protocol | str | None = None,
    max_rank: int = 50,
    topk: int | None = None,
    index: SearchSettings | str = "exact",
    rerank: KReciprocal | None = None,
    expand: QueryExpansion | None = None,
    query_row: Array | None = None,
    gallery_row: Array | None = None,
    memory_mb: int = 512,
    device: torch.device | str | None = None,
    seed: int = 0,
    group: Group | None = None,
) -> RetrievalResult:
    """Scores a retrieval exactly: CMC, both average precisions, mINP, and the rank of each match.

    The order is that of s, the sum in one fixed order of the float64 products of the (normalised) features, so the
    figures do not depend on tiles, memory, threads, device, processes or the order of the gallery, and a duplicated
    image ties. Neither the gallery nor a row of scores is ever sorted, and no Q x G matrix is held.

    Args:
        query: `(Q, D)` float16, bfloat16, float32 or float64.
        gallery: `(G, D)`, the same types; may be memory-mapped: it is read through, not into memory.
        q_pid: Identities, `(Q,)` whole numbers; -1 = unknown, such a query has no match.
        g_pid: Identities, `(G,)`; -1 = junk for all queries.
        q_cam: Cameras, `(Q,)`; -1 = unknown, equals no other. None, or all -1: there are no cameras.
        g_cam: Cameras, `(G,)`.
        metric: `cosine` (a row of zeros scores 0 with all), `dot`, or `euclidean` (nearest first).
        ties: Where non-matches that tie with a match go: half of them before it, all behind it, all before it.
        protocol: What is junk and how it is averaged, by value or name (`PROTOCOLS`); None = `market1501` where
            cameras are known, else `none`.
        max_rank: Length of the CMC curve.
        topk: Also list the best `topk` gallery images of each query; None = do not.
        index: How those lists are found: `exact`, or an approximate FAISS index (`SearchSettings`), whose recall
            against exact search then stands in the definition. It touches no figure.
        rerank: Rank by re-ranked distances: k-reciprocal neighbourhoods of queries and gallery.
        expand: Add to each query what it finds in the gallery first.
        query_row: The caller's name of each query, `(Q,)`, for instance its row in a manifest; None = 0..Q-1.
        gallery_row: The same for the gallery, `(G,)`: the names that `topk` lists.
        memory_mb: Working memory, features aside.
        device: Where to compute; None = where the gallery is. A device without float64 (mps) is replaced by the CPU.
        seed: Of the draws of a single-shot protocol.
        group: Several processes: `query` and what goes with it is the same on each, `gallery` and what goes with it
            is the part of this one, possibly empty.

    Returns:
        The figures, over the valid queries and over all; the same on each process.

    Raises:
        NonFiniteFeaturesError: Features hold NaN or inf, or their squares do not fit float64; it names the side and
            the rows.
        NoMatchError: No query has a match.
        FeatureError: Shapes, lengths or types do not fit.
        ConfigError: An option is out of its range; the protocol is unknown, or needs cameras that are not there;
            re-ranking does not fit the memory, or is asked for in several processes.
    """
    _check_options(metric, ties, max_rank, topk, memory_mb, seed)
    group = Alone() if group is None else group
    search = search_settings(index)
    _check_changed(group, rerank, expand, search)
    options = f"{metric}, {ties}, {protocol}, max_rank {max_rank}, topk {topk}, {search}, seed {seed}"
    given = check_inputs(query, gallery, q_pid, g_pid, q_cam, g_cam, query_row, gallery_row, device, group, options)
    rule = chosen_protocol(protocol, cameras_known=given.cameras_known)
    if rerank is not None and rule.single_shot:
        raise ConfigError(f"protocol {rule.name} draws galleries of one image an identity: it has no re-ranking.")
    pairs = same_identity_pairs(
        given.q_pid, given.g_pid, given.q_cam, given.g_cam, same_camera_is_junk=rule.same_camera_is_junk
    )
    require_match(given, pairs, rule, group)
    definition = definition_of(given, rule, metric=metric, ties=ties)
    memory, share = memory_mb * 2**20, TIE_SHARE[ties]
    if expand is not None and expand.k:
        from wsreid.retrieval.expansion import expanded_queries

        check_finite(given.query, "query", memory=memory)
        check_finite(given.gallery, "gallery", memory=memory)
        begin("expanding the queries", 0)
        features = expanded_queries(given.query, given.gallery, expand, metric=metric, memory=memory)
        given = replace(given, query=FeatureTable(features, given.query.device))
        definition["expand"] = f"alpha query expansion, k={expand.k}, alpha={expand.alpha}"
    lists, shots = None, None
    if rerank is not None:
        from wsreid.retrieval.reranked import reranked_ranks

        begin("re-ranking", 0)
        ranks, n_tied, lists = reranked_ranks(
            given, pairs, rerank, metric=metric, share=share, topk=topk, memory=memory
        )
        of = "" if rerank.top is None else f", top={rerank.top}"
        definition["rerank"] = f"k-reciprocal, k1={rerank.k1}, k2={rerank.k2}, lam={rerank.lam}{of}"
        definition["score"] = "(1 - lam) d_J + lam d, d = squared distance over its row maximum; in float32"
    else:
        found = exact_ranks(
            given.query, given.gallery, given.g_pid, pairs, metric=metric, share=share, memory=memory, group=group
        )
        ranks, n_tied = found.ranks, found.n_tied
        if rule.single_shot:
            shots = shot_ranks(given, rule, metric=metric, share=share, memory=memory, seed=seed, group=group)
            definition["seed"] = seed
        if topk is not None:
            from wsreid.retrieval.lists import named_lists

            begin("listing the best", 0)
            lists, definition["lists"] = named_lists(
                given, pairs, topk, metric=metric, settings=search, memory=memory, group=group
            )
    return RetrievalResult.of_ranks(
        ranks,
        n_tied=n_tied,
        max_rank=max_rank,
        query_row=given.query_row,
        query_pid=given.q_pid,
        definition=definition,
        topk=lists,
        shots=shots,
    )


def definition_of(given: Inputs, protocol: Protocol, *, metric: Metric, ties: Ties) -> dict[str, str | int]:
    """What the figures of an evaluation mean."""
    return {
        "metric": metric,
        "ap": "map_step: (i+1)/(r+1); map_trapezoid: mean of (i+1)/(r+1) and i/r (1 if r = 0)",
        "ties": ties,
        **protocol.definition(),
        "average": "map_step, map_trapezoid, minp, cmc: over queries with a match; *_all: over all queries",
        "score": SCORES[metric],
        "n_gallery": given.n_gallery,
        "n_gallery_junk": given.n_gallery_junk,
    }


def require_match(given: Inputs, pairs: Pairs, protocol: Protocol, group: Group) -> LostQueries:
    """Counts the queries without a match, and refuses if all are.

    Raises:
        NoMatchError: No query has a match.
    """
    n_query = len(given.q_pid)
    counts = [np.bincount(pairs.query[mask], minlength=n_query) for mask in (~pairs.junk, pairs.junk)]
    matches, junk = np.asarray(group.sum(np.stack(counts).astype(np.int64)))  # (2, Q)
    lost = lost_by_counts(given.q_pid, given.q_cam, matches, junk, protocol)
    if len(lost) == n_query:
        raise NoMatchError(f"none of the {n_query} queries has a match: {lost}")
    if len(lost) and group.rank == 0:
        logger.debug("%s", lost)  # each validation epoch would say it again: what runs before training warns
    return lost


def _check_changed(
    group: Group, rerank: KReciprocal | None, expand: QueryExpansion | None, search: SearchSettings
) -> None:
    if rerank is not None and search.kind != "exact":
        raise ConfigError(f"index={search.kind!r}: re-ranked lists come from re-ranked distances, not from an index.")
    for name, value, kind in (("rerank", rerank, "KReciprocal"), ("expand", expand, "QueryExpansion")):
        if value is not None and type(value).__name__ != kind:
            raise ConfigError(f"{name}={value!r}: give {kind}(...), or None for none.")
        if value is not None and group.size > 1:
            raise ConfigError(
                f"{name}: it needs the whole gallery in one process, and {group.size} processes hold parts of it. "
                "Score with one process, or predict features and use `python -m wsreid evaluate`."
            )


def _check_options(metric: str, ties: str, max_rank: int, topk: int | None, memory_mb: int, seed: int) -> None:
    check_similarity(metric)
    check_choice("ties", ties, get_args(Ties))
    for name, number in (("max_rank", max_rank), ("memory_mb", memory_mb)):
        check_positive(name, number)
    if topk is not None:
        check_positive("topk", topk)
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"seed={seed!r}: expected a whole number, at least 0.")
