"""Results made of ranks alone, for tests that need no features."""

import numpy as np

from wsreid.retrieval.protocols import PROTOCOLS
from wsreid.retrieval.result import RetrievalResult


def make_result(seed=0, queries=30, ids=8, protocol="market1501", lost=0.2, **changes):
    rng = np.random.default_rng(seed)
    ranks = [
        np.sort(rng.choice(40, 0 if rng.random() < lost else rng.integers(1, 4), replace=False)).astype(float)
        for _ in range(queries)
    ]
    ranks[0] = np.array([0.5, 2.0])
    arguments = {
        "n_tied": 1,
        "max_rank": 20,
        "query_row": np.arange(queries, dtype=np.int64),
        "query_pid": rng.integers(0, ids, queries),
        "definition": {"metric": "cosine", "ties": "mid", **PROTOCOLS[protocol].definition()},
    }
    return RetrievalResult.of_ranks(ranks, **(arguments | changes))
