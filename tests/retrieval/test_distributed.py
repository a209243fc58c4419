"""Several processes that hold parts of one gallery find what one process finds, bit for bit."""

import time

import numpy as np
import pytest

from wsreid.retrieval import evaluate
from wsreid.retrieval.callback import RetrievalCallback
from wsreid.retrieval.group import Alone
from wsreid.retrieval.rerank_settings import KReciprocal

from . import jobs
from .ddp import Data, Model, trainer
from .pool import Failed
from .problems import KINDS, make_problem

SPLITS = {
    "even": lambda n, size, rng: np.arange(n) % size,
    "uneven": lambda n, size, rng: np.searchsorted(np.array([0.1, 0.7])[: size - 1], rng.random(n)),
    "one holds nothing": lambda n, size, rng: np.where(np.arange(n) % size == 1, 0, np.arange(n) % size),
    "one holds all": lambda n, size, rng: np.full(n, size - 1),
}


def same(a, b):
    assert [r.tobytes() for r in a.ranks] == [r.tobytes() for r in b.ranks]
    assert (a.n_query, a.n_valid, a.n_tied, a.map_step, a.minp) == (b.n_query, b.n_valid, b.n_tied, b.map_step, b.minp)
    assert np.array_equal(a.cmc_all, b.cmc_all)
    assert np.array_equal(a.query_row, b.query_row)
    assert a.definition == b.definition
    assert (a.topk is None) == (b.topk is None)
    assert a.topk is None or np.array_equal(a.topk, b.topk)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_the_ranks_are_those_of_one_process(pool, size, metric):
    rng = np.random.default_rng(size)
    for number, (kind, split) in enumerate((kind, split) for kind in KINDS for split in SPLITS):
        dtype = (np.float32, np.float16)[number % 2]
        if kind == "uneven":
            dtype = np.float32  # 1e9 is beyond float16
        p = make_problem(seed=number, kind=kind, dtype=dtype)
        part = SPLITS[split](len(p.gallery), size, rng)
        options = {"metric": metric, "topk": 5}
        expected = evaluate(p.query, p.gallery, gallery_row=np.arange(len(p.gallery)), **p.arguments(), **options)
        for found in pool.run(size, jobs.score_part, p, part, options):
            assert not isinstance(found, Failed), (kind, split, found)
            same(found, expected)


def test_a_group_of_one_is_no_group(problem):
    same(
        evaluate(problem.query, problem.gallery, group=Alone(), **problem.arguments()),
        evaluate(problem.query, problem.gallery, **problem.arguments()),
    )


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        ("gallery", "NonFiniteFeaturesError"),
        ("query", "NonFiniteFeaturesError"),
        ("pid", "FeatureError"),
        ("half of the queries", "FeatureError"),
        ("another metric", "FeatureError"),
        ("other query identities", "FeatureError"),
    ],
)
def test_what_is_wrong_on_one_process_is_raised_on_all(pool, problem, spoil, kind):
    began = time.monotonic()
    found = pool.run(3, jobs.score_spoilt, problem, spoil)
    assert [getattr(f, "kind", f) for f in found] == [kind] * 3
    assert len({f.text for f in found}) == 1
    assert time.monotonic() - began < 20


def test_no_match_on_any_process_is_said_on_all(pool, problem):
    problem.g_pid[:] = 77
    found = pool.run(2, jobs.score_part, problem, np.arange(len(problem.gallery)) % 2, {})
    assert [f.kind for f in found] == ["NoMatchError"] * 2


def test_a_match_on_another_process_is_a_match(pool, problem):
    problem.g_pid[problem.g_pid == problem.q_pid[0]] = 4
    problem.g_pid[0], problem.q_pid[:] = 0, 0
    part = np.minimum(np.arange(len(problem.gallery)), 1)
    first, second = pool.run(2, jobs.score_part, problem, part, {})
    same(first, second)
    assert first.n_valid > 0


def test_callback_under_ddp_scores_as_one_process_does(pool, problem, tmp_path):
    problem.gallery[20:30] = problem.gallery[:10]  # ties
    alone = RetrievalCallback()
    trainer(tmp_path, alone).test(Model(), datamodule=Data(problem), verbose=False)
    expected = alone.results["test"]
    found = pool.run(3, jobs.score_under_ddp, problem, tmp_path)
    for rank, (result, logged, held) in enumerate(found):
        same(result, expected)
        assert logged["test/mAP_step"] == pytest.approx(expected.map_step)
        assert held == [7, 13 + (rank == 0)]  # all queries, a part of the gallery; the sampler repeats two images
    assert (tmp_path / "ddp" / "retrieval.npz").exists()


def test_callback_under_ddp_names_the_image_of_another_process(pool, problem, tmp_path):
    problem.gallery[5, 0] = np.nan  # held by process 2
    found = pool.run(3, jobs.score_under_ddp, problem, tmp_path)
    assert [f.kind for f in found] == ["NonFiniteFeaturesError"] * 3
    assert all("img_505.jpg" in f.text for f in found)


def test_callback_under_ddp_refuses_re_ranking_at_once(pool, problem, tmp_path):
    found = pool.run(3, jobs.score_under_ddp, problem, tmp_path, {"rerank": KReciprocal()})
    assert [f.kind for f in found] == ["ConfigError"] * 3
    assert "needs the whole gallery in one process, and there are 3" in found[0].text


def test_callback_under_ddp_that_cannot_save_fails_on_all(pool, problem, tmp_path):
    (tmp_path / "ddp").write_text("a file where the run folder should be")
    found = pool.run(3, jobs.score_under_ddp, problem, tmp_path)
    assert found[0].kind in ("FileExistsError", "NotADirectoryError")
    assert [f.kind for f in found[1:]] == ["RuntimeError"] * 2
    assert found[1].text.startswith(f"process 0 failed: {found[0].kind}")
