import pickle

import numpy as np
import pytest
import torch
import torchmetrics
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.errors import ConfigError
from wsreid.retrieval import NoMatchError, NonFiniteFeaturesError, evaluate, summary
from wsreid.retrieval.metric import RetrievalMetric

from . import jobs
from .problems import KINDS, make_problem


def scored(p, metric="cosine"):
    return evaluate(p.query, p.gallery, metric=metric, gallery_row=np.arange(len(p.gallery)), **p.arguments())


def filled(p, cuts=(), metric="cosine"):
    """A metric that was given the sides of a problem, cut into batches."""
    made = RetrievalMetric(metric=metric)
    jobs.feed(made, p, np.arange(len(p.query)), np.arange(len(p.gallery)), cuts)
    return made


def same(a, b):
    assert [r.tobytes() for r in a.ranks] == [r.tobytes() for r in b.ranks]
    assert (a.n_tied, a.map_step, a.map_trapezoid) == (b.n_tied, b.map_step, b.map_trapezoid)
    assert a.definition == b.definition


def test_the_figures_are_those_of_evaluate(problem):
    made, expected = filled(problem, metric="euclidean"), scored(problem, "euclidean")
    found = made.compute()
    assert {name: float(value) for name, value in found.items()} == pytest.approx(summary(expected))
    assert all(value.dtype == torch.float32 and value.shape == () for value in found.values())
    same(made.result, expected)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(KINDS), st.lists(st.integers(0, 40), max_size=4))
def test_batches_change_nothing(kind, cuts):
    p = make_problem(kind=kind)
    made = filled(p, sorted(cuts))
    made.compute()
    same(made.result, scored(p))


def test_it_goes_on_after_compute_and_starts_anew_after_reset(problem):
    made = filled(problem)
    made.compute()
    more = problem.gallery[:5] + 0.25
    given = [torch.from_numpy(x[:5]) for x in (problem.g_pid, problem.g_cam)]
    made.update(torch.from_numpy(more), *given, torch.arange(100, 105), "gallery")
    with pytest.raises(ConfigError, match="call compute"):
        _ = made.result
    made.compute()
    problem.gallery = np.concatenate([problem.gallery, more])
    problem.g_pid, problem.g_cam = (np.concatenate([x, x[:5]]) for x in (problem.g_pid, problem.g_cam))
    same(made.result, scored(problem))

    made.reset()
    with pytest.raises(ConfigError, match="call compute"):
        _ = made.result
    other = make_problem(seed=3)
    jobs.feed(made, other, np.arange(7), np.arange(40), ())
    made.compute()
    same(made.result, scored(other))


def test_pickles_and_clones_hold_the_features(problem):
    made = filled(problem)
    for copy in (pickle.loads(pickle.dumps(made)), made.clone()):
        copy.compute()
        same(copy.result, scored(problem))
        copy.reset()
    made.compute()
    same(made.result, scored(problem))
    assert made.state_dict() == {}


@pytest.mark.parametrize(
    "convert",
    [
        lambda m: m.half(),
        lambda m: m.double(),
        lambda m: m.to(torch.bfloat16),
        lambda m: m.set_dtype(torch.float16),
        lambda m: m.to("cpu"),
        lambda m: torch.nn.ModuleList([m]).half()[0],
    ],
)
def test_types_touch_neither_counts_nor_features(problem, convert):
    made = convert(filled(problem))
    found = made.compute()
    assert made.counts.dtype == torch.int64
    assert found["R1"].dtype == torch.float32
    same(made.result, scored(problem))


def test_half_features_are_ranked_as_they_were_given(problem):
    problem.query, problem.gallery = problem.query.astype(np.float16), problem.gallery.astype(np.float16)
    made = filled(problem)
    made.compute()
    same(made.result, scored(problem))


def test_calling_it_takes_a_batch_and_claims_no_figure(problem):
    made = RetrievalMetric()
    for side, features, pid, camera in (
        ("query", problem.query, problem.q_pid, problem.q_cam),
        ("gallery", problem.gallery, problem.g_pid, problem.g_cam),
    ):
        numbers = [torch.from_numpy(x) for x in (features, pid, camera)]
        assert made(*numbers, torch.arange(len(pid)), side) is None
    made.compute()
    same(made.result, scored(problem))


def test_metrics_of_a_collection_do_not_share_their_batches(problem):
    names = ("cosine", "euclidean")
    both = torchmetrics.MetricCollection({name: RetrievalMetric(metric=name) for name in names})
    jobs.feed(both, problem, np.arange(7), np.arange(40), (10, 20))
    both.compute()
    for name in names:
        same(both[name].result, scored(problem, name))


def test_merged_metrics_score_the_batches_of_both(problem):
    first, second = RetrievalMetric(), RetrievalMetric()
    jobs.feed(first, problem, np.arange(3), np.arange(25), ())
    jobs.feed(second, problem, np.arange(3, 7), np.arange(25, 40), ())
    first.merge_state(second)
    first.compute()
    same(first.result, scored(problem))
    with pytest.raises(ConfigError, match="not of dict"):
        first.merge_state({"counts": torch.zeros(0)})


def test_a_side_that_does_not_exist_is_refused():
    one = torch.zeros(1, dtype=torch.int64)
    with pytest.raises(ConfigError, match="side='galery'"):
        RetrievalMetric().update(torch.ones(1, 2), one, one, one, "galery")


@pytest.mark.parametrize("size", [2, 3])
def test_processes_find_what_one_finds_and_go_on(pool, problem, size):
    problem.gallery[20:30] = problem.gallery[:10]  # ties
    expected = scored(problem)
    for found in pool.run(size, jobs.score_by_metric, problem):
        results, states = found
        for result in results:
            same(result, expected)
        assert states == {"counts": (torch.int64, (0,))}  # synced states are given up again


def test_processes_agree_that_nothing_matches_and_recover(pool, problem):
    wrong = make_problem()
    wrong.g_pid[:] = 77
    found = pool.run(2, jobs.recover_by_metric, wrong, problem)
    for error, result in found:
        assert error == NoMatchError.__name__
        same(result, scored(problem))


@pytest.mark.parametrize(
    "options",
    [
        {"metric": "cos"},
        {"ties": "random"},
        {"protocol": "market"},
        {"max_rank": 0},
        {"memory_mb": 0},
        {"memory_mb": 1.5},
    ],
    ids=str,
)
def test_options_are_refused_when_it_is_made(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        RetrievalMetric(**options)


def arguments(**changes):
    one = torch.zeros(2, dtype=torch.int64)
    return {"features": torch.ones(2, 3), "pid": one, "camera": one, "row": one, "side": "query"} | changes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pid": torch.zeros(3, dtype=torch.int64)}, r"2 features need pid of shape \(2,\), got \(3,\)"),
        ({"camera": torch.zeros(1, dtype=torch.int64)}, "need camera of shape"),
        ({"row": torch.zeros(2, 1, dtype=torch.int64)}, r"need row of shape \(2,\), got \(2, 1\)"),
        ({"row": None}, "row is NoneType, expected a tensor"),
        ({"pid": [1, 2], "camera": None}, "pid is list"),
        ({"pid": torch.tensor([0.5, 1.5])}, "pid is torch.float32, expected whole numbers"),
        ({"features": torch.ones(2)}, r"features of shape \(2,\), expected \(N, D\)"),
        ({"features": torch.ones(2, 3, dtype=torch.int64)}, r"give features\.float\(\)"),
        ({"features": torch.ones(2, 4)}, "query features of 4 dimensions after some of 3"),
    ],
)
def test_arguments_that_do_not_fit_are_named_and_leave_it_as_it_was(changes, message):
    made = RetrievalMetric()
    made.update(**arguments())
    with pytest.raises(ConfigError, match=rf"RetrievalMetric\.update: .*{message}"):
        made.update(**arguments(**changes))
    assert made._outputs["query"].images == 2


def test_no_cameras_are_unknown_cameras(problem):
    made = RetrievalMetric()
    for side, features, pid in (("query", problem.query, problem.q_pid), ("gallery", problem.gallery, problem.g_pid)):
        made(torch.from_numpy(features), torch.from_numpy(pid), None, torch.arange(len(pid)), side)
    made.compute()
    problem.q_cam, problem.g_cam = (np.full_like(x, -1) for x in (problem.q_cam, problem.g_cam))
    same(made.result, scored(problem))
    assert made.result.definition["protocol"] == "none"


@pytest.mark.parametrize("side", ["query", "gallery"])
def test_features_that_are_not_finite_are_named_by_their_rows(problem, side):
    features = getattr(problem, side)
    features[[2, 5], 1] = np.nan
    made = RetrievalMetric()
    for name in ("query", "gallery"):
        rows = torch.arange(len(getattr(problem, name))) + 100
        rows[5] = -1
        numbers = (getattr(problem, name), getattr(problem, f"{name[0]}_pid"), getattr(problem, f"{name[0]}_cam"))
        made.update(*map(torch.from_numpy, numbers), rows, name)
    with pytest.raises(NonFiniteFeaturesError, match="row 102, image 5 without a row") as caught:
        made.compute()
    assert (caught.value.side, caught.value.indices) == (side, (2, 5))


@pytest.mark.parametrize("side", ["query", "gallery"])
def test_processes_name_the_rows_too(pool, problem, side):
    getattr(problem, side)[5, 1] = np.nan
    for message in pool.run(2, jobs.refuse_by_metric, problem):
        assert f"1 {side} feature(s)" in message
        assert "row 105." in message
