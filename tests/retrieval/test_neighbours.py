import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.errors import ConfigError
from wsreid.retrieval.distances import Distances, Part
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.neighbours import nearest
from wsreid.retrieval.stacked import StackedTable

from .problems import KINDS, make_problem
from .test_rerank import squared_distances

CPU = torch.device("cpu")


def stacked(p):
    return StackedTable(FeatureTable(p.query, CPU), FeatureTable(p.gallery, CPU))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    metric=st.sampled_from(("cosine", "euclidean")),
    k=st.integers(1, 40),
    side=st.integers(1, 50),
    own=st.booleans(),
)
def test_lists_are_sorted_rows(seed, kind, metric, k, side, own):
    p = make_problem(seed, kind=kind, width=130)
    n = len(p.query)
    d = squared_distances(p.query, p.gallery, metric)
    rows, columns = (torch.arange(len(d)), None) if own else (torch.arange(n), torch.arange(n, len(d)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Distances, "side", property(lambda _: side))
        found = nearest(Distances(stacked(p), metric=metric, memory=2**20), rows, columns, k)
    d = d if own else d[:n, n:]
    index = np.argsort(d, axis=1, kind="stable")[:, :k]
    assert np.array_equal(found.index, index)
    assert np.array_equal(found.farthest, np.maximum(d, 0).max(axis=1))  # itself: 0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    metric=st.sampled_from(("cosine", "euclidean")),
    k=st.integers(1, 40),
    own=st.booleans(),
    bound32=st.sampled_from((1e-5, 1e-3, 0.1)),  # lists are kept in float32: not below its rounding
)
def test_the_error_of_a_product_changes_nothing(seed, kind, metric, k, own, bound32):
    p = make_problem(seed, kind=kind, width=30)
    n, rows = len(p.query), torch.arange(len(p.query) + len(p.gallery))
    ask = (rows, None, k) if own else (rows[:n], rows[n:], k)
    rough = Distances(stacked(p), metric=metric, memory=2**20)
    rough.bound, rough.bound32 = 0.4 / 2**31, bound32
    generator, product = torch.Generator().manual_seed(seed), rough.tile

    def noisy(a, b):
        double = [Part(x.index, rough.part(x.index).rows, x.square.double()) for x in (a, b)]
        d = product(*double)
        noise = torch.rand(d.shape, generator=generator, dtype=torch.float64) - 0.5
        return (d + 1.9 * rough.error(a.rows.dtype) * noise).to(a.rows.dtype)

    rough.tile = noisy
    found = nearest(rough, *ask)
    d = squared_distances(p.query, p.gallery, metric)
    d = d if own else d[:n, n:]
    assert np.array_equal(found.index, np.argsort(d, axis=1, kind="stable")[:, :k])
    assert np.array_equal(found.farthest, np.maximum(d, 0).max(axis=1))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(KINDS),
    metric=st.sampled_from(("cosine", "euclidean")),
    width=st.sampled_from((1, 130, 700)),
)
def test_a_product_errs_by_less_than_its_bound(seed, kind, metric, width):
    p = make_problem(seed, kind=kind, width=width)
    d, rows = Distances(stacked(p), metric=metric, memory=2**20), torch.arange(47)
    exact = d.exact(*torch.cartesian_prod(rows, rows).T).view(47, 47)
    for dtype in (torch.float32, torch.float64):
        a = d.part(rows, dtype)
        assert a.rows.dtype == a.square.dtype == dtype
        assert (d.tile(a, a).double() - exact).abs().max() <= d.error(dtype) + 0.5 / 2**31


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS), metric=st.sampled_from(("cosine", "euclidean")))
def test_the_quick_distances_are_the_exact_ones(seed, kind, metric):
    p = make_problem(seed, kind=kind, width=130)
    d = Distances(stacked(p), metric=metric, memory=2**20)
    i, j = torch.from_numpy(np.random.default_rng(seed).integers(0, 47, (2, 300)))
    d.bound *= 100  # some are undecided
    assert torch.equal(d.between(i, j), d.exact(i, j))


def test_lists_rest_on_a_float32_product(monkeypatch):
    seen = []
    product = Distances.tile
    monkeypatch.setattr(Distances, "tile", lambda self, a, b: seen.append(a.rows.dtype) or product(self, a, b))
    p = make_problem(0, queries=30, images=200, width=64)
    nearest(Distances(stacked(p), metric="cosine", memory=2**20), torch.arange(230), None, 10)
    assert set(seen) == {torch.float32}


def test_values_near_the_middle_of_a_step_are_looked_up():
    p = make_problem(0)
    d = Distances(stacked(p), metric="cosine", memory=2**20)
    i, j = torch.tensor([0, 1, 2]), torch.tensor([9, 10, 11])
    exact = d.exact(i, j)
    wrong = (exact.clone() * 2**31 + torch.tensor([0.5 + 1e-5, 0.25, 1.5], dtype=torch.float64)) / 2**31
    wrong[2] = exact[2] + 7 / 2**31  # far from a middle: believed
    assert torch.equal(d.settle(wrong, i, j), exact + torch.tensor([0, 0, 7]) / 2**31)


def test_a_stack_reads_as_one_table():
    p = make_problem(3)
    table, both = stacked(p), np.concatenate([p.query, p.gallery])
    assert (table.rows, table.width) == both.shape
    for start, stop in ((0, 3), (5, 9), (8, 20)):
        assert np.array_equal(table.slice(start, stop).numpy(), both[start:stop])
    for index in ([2, 1], [30, 8], [40, 0, 7, 6]):
        assert np.array_equal(table.pick(torch.tensor(index)).numpy(), both[index])
        assert np.array_equal(table.pick_array(np.array(index)), both[index])


def test_a_dot_product_is_no_distance():
    with pytest.raises(ConfigError, match="dot"):
        Distances(stacked(make_problem(0)), metric="dot", memory=2**20)
