"""Pairwise distances."""

import math

import pytest
import torch

from wsreid.losses.distances import distances, squared_distances


def test_is_the_loop():
    features = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    points = features.tolist()
    for i, row in enumerate(distances(features).tolist()):
        for j, value in enumerate(row):
            assert value == pytest.approx(math.dist(points[i], points[j]) if i != j else 1e-6)


def test_the_diagonal_is_exactly_zero_far_from_the_origin():
    features = torch.randn(5, 8) + 1000
    assert squared_distances(features).diagonal().tolist() == [0.0] * 5
