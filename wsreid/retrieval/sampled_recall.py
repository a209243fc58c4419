"""How much of the exact lists an index finds, on images of its own gallery."""

from __future__ import annotations

import numpy as np
import torch

from wsreid.retrieval.best import sorted_exactly
from wsreid.retrieval.exact_search import nearest
from wsreid.retrieval.faiss_topk import recall_of, recall_sample
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.index import SearchIndex
from wsreid.retrieval.junk import Pairs
from wsreid.retrieval.watched_table import WatchedTable
from wsreid.retrieval.watching import Watch, unwatched


def sampled_recall(
    index: SearchIndex, k: int = 10, *, memory_mb: int = 512, watch: Watch = unwatched
) -> tuple[float, int]:
    """Asks an index for the neighbours of up to 100 of its images, evenly spaced, and searches them exactly too.

    An image finds itself at once in any index, so it is left out of its own list.

    Args:
        index: An index with its gallery at hand.
        k: Length of the lists.
        memory_mb: Working memory.
        watch: Is told how far the exact search is.

    Returns:
        The recall, 1 = all (`recall_of`), and the number of images asked for.

    Raises:
        ValueError: The gallery is not at hand.
    """
    if index.gallery is None:
        raise ValueError("recall is measured against the gallery: load the index with it.")
    gallery, metric, memory = index.gallery, index.facts.metric, memory_mb * 2**20
    sample = recall_sample(gallery.rows)  # (q,)
    query = FeatureTable(gallery.pick(torch.from_numpy(sample).to(gallery.device)), gallery.device)  # (q, D)
    themselves = Pairs(np.arange(len(sample), dtype=np.int64), sample, np.ones(len(sample), dtype=np.bool_))
    found = index.propose(query, k, extra=1)
    _, scores = sorted_exactly(query, gallery, found, themselves, k, metric=metric, memory=memory)
    watched = WatchedTable(gallery, "searching exactly, for the recall", watch)
    rows = np.arange(gallery.rows)
    _, exact = nearest(query, watched, rows, k, metric=metric, memory=memory, pairs=themselves)
    return recall_of(scores, exact), len(sample)
