"""A ranking tells how far it is."""

import logging

import numpy as np
import pytest
import torch

from wsreid.retrieval import KReciprocal, QueryExpansion, counting, evaluate
from wsreid.retrieval.watching import LogLines, begin, watched_by


def ranked(**options):
    draw = np.random.default_rng(0)
    query, gallery = (draw.normal(size=(n, 8)).astype(np.float32) for n in (20, 400))
    return evaluate(query, gallery, q_pid=np.arange(20), g_pid=np.arange(400) % 20, protocol="none", **options)


def test_each_tile_is_told_once_and_in_order(monkeypatch):
    monkeypatch.setattr(counting, "_tile_sizes", lambda *_: (10, 5, 64))  # two passes over seven tiles
    told = []
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with watched_by(lambda *what: told.append(what)):
            watched = ranked()
    finally:
        torch.set_num_threads(threads)
    assert told == [("ranking", done, 14) for done in range(15)]
    assert all(np.array_equal(a, b) for a, b in zip(watched.ranks, ranked().ranks, strict=True))
    told.clear()
    ranked()
    assert told == []  # nobody listens any more


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rerank": KReciprocal(k1=3, k2=2)}, "re-ranking"),
        ({"expand": QueryExpansion(k=2)}, "expanding the queries"),
        ({"topk": 3}, "listing the best"),
    ],
)
def test_what_has_no_tiles_is_named(options, said):
    told = []
    with watched_by(lambda what, done, total: told.append((what, done, total))):
        ranked(**options)
    assert (said, 0, 0) in told


def test_the_log_gets_a_line_every_half_minute(caplog):
    now = [0.0]
    caplog.set_level(logging.INFO)
    with watched_by(LogLines(lambda: now[0])):
        step = begin("ranking", 10)
        for _ in range(8):
            now[0] += 10
            step()
        now[0] += 30
        begin("re-ranking", 0)
    assert caplog.messages == [
        "ranking: 30 %, about 1 min 10 s left",
        "ranking: 60 %, about 0 min 40 s left",
        "re-ranking ...",
    ]
