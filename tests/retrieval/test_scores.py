import numpy as np
import pytest
import torch

from wsreid.retrieval import scores as module
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.scores import pair_scores, pairwise_row_sum, root, row_norms, row_sum, scaled_rows, unit_rows

from .oracle import scores

CPU = torch.device("cpu")
METRICS = ("cosine", "dot", "euclidean")


@pytest.mark.parametrize("width", [1, 2, 7, 8, 9, 15, 16, 64, 127, 128, 129, 136, 255, 300, 751, 2048, 10_001])
def test_the_order_of_additions_is_one_on_all_devices(width):
    values = np.random.default_rng(width).normal(size=(5, width)) * 10.0 ** np.random.default_rng(1).integers(
        -6, 6, width
    )
    expected = values.sum(axis=1)
    assert np.array_equal(row_sum(torch.from_numpy(values)).numpy(), expected)
    assert np.array_equal(pairwise_row_sum(torch.from_numpy(values)).numpy(), expected)
    alone = np.array([row_sum(torch.from_numpy(values[i : i + 1]))[0] for i in range(5)])
    assert np.array_equal(alone, expected)
    transposed = torch.from_numpy(np.asfortranarray(values))
    assert np.array_equal(row_sum(transposed).numpy(), expected)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("memory", [1, 2**20])
@pytest.mark.parametrize("threads", [1, 2])
def test_pair_scores_are_the_naive_ones_to_the_last_bit(metric, memory, threads, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(3, 20)).astype(np.float32), rng.normal(size=(11, 20)).astype(np.float32)
    gallery[4] = 0
    q, g = FeatureTable(query, CPU), FeatureTable(gallery, CPU)
    qi, gi = (torch.from_numpy(i.ravel()) for i in np.meshgrid(np.arange(3), np.arange(11), indexing="ij"))
    mine = pair_scores(q, g, qi, gi, metric=metric, memory=memory).numpy().reshape(3, 11)
    assert np.array_equal(mine, scores(query, gallery, metric))


@pytest.mark.parametrize("metric", METRICS)
def test_the_path_of_other_devices_gives_the_same_bits(metric, monkeypatch):
    rng = np.random.default_rng(1)
    query, gallery = (rng.normal(size=(n, 300)).astype(np.float32) for n in (4, 9))
    expected = scores(query, gallery, metric)
    monkeypatch.setattr(module, "row_sum", pairwise_row_sum)
    monkeypatch.setattr(module, "root", lambda x: torch.from_numpy(np.sqrt(x.numpy())))
    q, q_square = scaled_rows(FeatureTable(query, CPU), torch.arange(4), metric)
    g, square = scaled_rows(FeatureTable(gallery, CPU), torch.arange(9), metric)
    for i in range(4):
        s = pairwise_row_sum(q[i] * g)
        assert np.array_equal((2 * s - square if metric == "euclidean" else s).numpy(), expected[i])
    np.testing.assert_allclose(q_square.numpy(), (query.astype(float) ** 2).sum(1), rtol=1e-12)


def test_unit_rows_and_norms():
    rows = np.random.default_rng(2).normal(size=(7, 5)) * 10.0 ** np.array([[-30], [-9], [0], [1], [9], [20], [0]])
    rows[6] = 0
    for kind in (np.float64, np.float32, np.float16):
        stored = (rows if kind is not np.float16 else np.clip(rows, -100, 100)).astype(kind)
        table = FeatureTable(stored, CPU)
        norm = np.sqrt((stored.astype(float) ** 2).sum(1))
        np.testing.assert_allclose(row_norms(table.slice(0, 7)).numpy(), norm, rtol=1e-14)
        expected = stored / np.where(norm > 0, norm, 1)[:, None]
        np.testing.assert_allclose(unit_rows(table, 0, 7).numpy(), expected, rtol=2.0**-22, atol=1e-37)
        for row in range(7):  # of one size alone
            alone = unit_rows(FeatureTable(stored[row : row + 1], CPU), 0, 1).numpy()
            np.testing.assert_allclose(alone[0], expected[row], rtol=2.0**-22, atol=1e-37)
        scaled = scaled_rows(table, torch.arange(7), "cosine")[0].numpy()
        np.testing.assert_allclose(scaled, expected, rtol=1e-14)


def test_the_root_is_correctly_rounded_whatever_the_length():
    values = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 100
    assert np.array_equal(root(values).numpy(), np.sqrt(values.numpy()))
    assert all(root(values[i : i + 1])[0] == root(values)[i] for i in range(0, 20_000, 97))


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_matches_that_queries_share_score_as_each_pair_does_alone(metric):
    rng = np.random.default_rng(0)
    query, gallery = (FeatureTable(rng.normal(size=(n, 300)).astype(np.float32), CPU) for n in (4, 9))
    qi, gi = torch.arange(4).repeat_interleave(3), torch.tensor([7, 2, 5]).repeat(4)
    together = pair_scores(query, gallery, qi, gi, metric=metric, memory=2**24)
    alone = [
        pair_scores(query, gallery, q, g, metric=metric, memory=2**24)
        for q, g in zip(qi.split(1), gi.split(1), strict=True)
    ]
    assert torch.equal(together, torch.cat(alone))
    first = pair_scores(query, gallery, qi[:6], gi[:6], metric=metric, memory=2**24)  # query 1 is the last
    assert torch.equal(first, together[:6])
