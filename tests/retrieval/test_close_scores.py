import numpy as np
import pytest
import torch

from wsreid.retrieval import close_scores as module
from wsreid.retrieval.close_scores import close_scores
from wsreid.retrieval.features import FeatureTable
from wsreid.retrieval.scores import pair_scores, scaled_rows

CPU = torch.device("cpu")


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("width", [3, 300])
@pytest.mark.parametrize("rows", [50, 70_000])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_they_are_the_exact_scores_to_the_last_bit(monkeypatch, metric, width, rows, dtype):
    monkeypatch.setattr(module, "AT_ONCE", 8 * width * 29)
    rng = np.random.default_rng(0)
    picked = np.concatenate([rng.integers(0, 50, 200), [0, rows - 1]])
    stored = np.zeros((rows, width), dtype)
    stored[:50] = rng.normal(size=(50, width))
    query, gallery = FeatureTable(rng.normal(size=(6, width)).astype(dtype), CPU), FeatureTable(stored, CPU)
    row, index = torch.from_numpy(rng.integers(0, 6, len(picked))), torch.from_numpy(picked)
    rows64 = scaled_rows(query, torch.arange(6), metric)[0]
    expected = pair_scores(query, gallery, row, index, metric=metric, memory=2**24)
    assert torch.equal(close_scores(rows64, gallery, row, index, metric), expected)
    assert len(close_scores(rows64, gallery, row[:0], index[:0], metric)) == 0
