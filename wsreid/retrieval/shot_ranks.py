"""Ranks of matches in galleries of one image an identity."""

from __future__ import annotations

import numpy as np
import torch

from wsreid.retrieval.counting import count_better
from wsreid.retrieval.features import FeatureTable, Metric
from wsreid.retrieval.group import Group
from wsreid.retrieval.inputs import Inputs
from wsreid.retrieval.junk import same_identity_pairs
from wsreid.retrieval.protocols import Protocol
from wsreid.retrieval.ranking import counts_of_pairs, match_ranks, sort_thresholds, sum_counts
from wsreid.retrieval.scores import pair_scores
from wsreid.retrieval.single_shot import Shots, SingleShot, single_shot_ranks, single_shots


def shot_ranks(
    given: Inputs, protocol: Protocol, *, metric: Metric, share: float, memory: int, seed: int, group: Group
) -> Shots:
    """Ranks each query's match in the single-shot galleries of a protocol.

    Identities and cameras of the whole gallery travel, features do not. The draws go by the order of the callers'
    row names, so they do not depend on how the gallery is dealt out.

    Args:
        given: What is to be ranked.
        protocol: How many galleries, and what is junk.
        metric: The similarity.
        share: Share of the tied that goes before a match.
        memory: Bytes that the working arrays may take.
        seed: Of the draws.
        group: The processes.

    Returns:
        `(repeats, Q)` 0-based ranks; NaN = no match.
    """
    parts = [group.gather(x) for x in (given.gallery_row, given.g_pid, given.g_cam)]
    first = sum(len(part) for part in parts[0][: group.rank])
    names, pids, cams = (np.concatenate(part) for part in parts)
    order = np.argsort(names, kind="stable")
    pids, cams = pids[order], cams[order]
    pairs = same_identity_pairs(given.q_pid, pids, given.q_cam, cams, same_camera_is_junk=protocol.same_camera_is_junk)
    device = given.query.device

    def local(rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        here = order[rows] - first
        return np.where((here >= 0) & (here < given.gallery.rows), here, -1)

    def ranks_in(shot: SingleShot) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        queries = np.flatnonzero(shot.match >= 0)
        mine = local(shot.match[queries])
        scores = np.zeros(len(queries))
        held = mine >= 0
        qi, gi = (torch.from_numpy(x).to(device) for x in (queries[held], mine[held]))
        scores[held] = pair_scores(given.query, given.gallery, qi, gi, metric=metric, memory=memory).cpu().numpy()
        total = group.sum(scores)
        thresholds = sort_thresholds(
            torch.from_numpy(queries).to(device), torch.from_numpy(total).to(device), given.query.rows
        )
        drawn = local(shot.gallery)
        chosen = torch.from_numpy(drawn[drawn >= 0]).to(device)
        counts = count_better(
            given.query, FeatureTable(given.gallery.pick(chosen), device), thresholds, metric=metric, memory=memory
        )
        asking = np.flatnonzero(shot.own >= 0)
        own = local(shot.gallery[shot.own[asking]])
        qo, go = (torch.from_numpy(x[own >= 0]).to(device) for x in (asking, own))
        own_scores = pair_scores(given.query, given.gallery, qo, go, metric=metric, memory=memory)
        counts = sum_counts(counts.without(*counts_of_pairs(thresholds, qo, own_scores)), group)
        ranks = match_ranks(thresholds, counts, share=share)
        return np.array([r[0] if len(r) else np.nan for r in ranks])

    shots = single_shots(given.q_pid, pids, pairs, repeats=protocol.repeats, seed=seed)
    return single_shot_ranks(shots, ranks_in)
