"""The best gallery images of each query, under the callers' names. For pictures, never for a metric."""

from __future__ import annotations

import numpy as np
import torch

from wsreid.retrieval.best import Lists, best_first
from wsreid.retrieval.features import Metric
from wsreid.retrieval.group import Group, together
from wsreid.retrieval.inputs import Inputs
from wsreid.retrieval.junk import UNKNOWN, Pairs
from wsreid.retrieval.scores import pair_scores
from wsreid.retrieval.search_settings import SearchSettings


def named_lists(
    given: Inputs, pairs: Pairs, k: int, *, metric: Metric, settings: SearchSettings, memory: int, group: Group
) -> tuple[Lists, str]:
    """Finds the best k gallery images of each query, its junk removed, over all processes.

    Args:
        given: What is ranked.
        pairs: The pairs of one identity in this process's part of the gallery.
        k: Length of the lists.
        metric: The similarity.
        settings: How the lists are found.
        memory: Bytes that the working arrays may take.
        group: The processes.

    Returns:
        Names of gallery images `(Q, k)` int64, best first, -1 where there are fewer; the same on each process. And how
        they were found, with the recall where an approximate index was used.
    """
    from wsreid.retrieval.faiss_topk import ranked_lists  # faiss is loaded only where lists are asked for

    n_query = given.query.rows
    names = np.full((n_query, k), -1, dtype=np.int64)
    scores = np.full((n_query, k), -np.inf)
    recall: float | None = None
    with together(group):
        if given.gallery.rows:
            rows, recall = ranked_lists(
                given.query,
                given.gallery,
                given.g_pid != UNKNOWN,
                pairs,
                k,
                metric=metric,
                settings=settings,
                memory=memory,
            )
            filled = rows >= 0
            names[filled] = given.gallery_row[rows[filled]]
            if group.size > 1:
                qi, place = np.nonzero(filled)
                picked = (torch.from_numpy(x).to(given.query.device) for x in (qi, rows[qi, place]))
                scores[qi, place] = (
                    pair_scores(given.query, given.gallery, *picked, metric=metric, memory=memory).cpu().numpy()
                )
    if group.size > 1:
        every_name, every_score = (np.concatenate(group.gather(x.T), axis=0).T for x in (names, scores))  # (Q, k R)
        qi, place = np.nonzero(np.isfinite(every_score))
        names = best_first(qi, every_name[qi, place], every_score[qi, place], n_query, k)[0]
        recall = -group.max(-1.0 if recall is None else -recall)
    return names, _how(settings, k, recall)


def _how(settings: SearchSettings, k: int, recall: float | None) -> str:
    if settings.kind == "exact" or recall is None:
        return "exact search"
    return f"{settings.kind} index, recall@{k} {recall:.4f} against exact search"
