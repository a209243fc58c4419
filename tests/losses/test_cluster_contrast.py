"""Contrast with centroids: against loops, gradients, and at the edges."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from wsreid.losses import cluster_centroids, cluster_contrast_loss, update_cluster_memory


def problem(seed, n=9, k=4, width=5):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, width, generator=generator, dtype=torch.float64)
    memory = torch.randn(k, width, generator=generator, dtype=torch.float64)
    labels = torch.randint(-1, k, (n,), generator=generator)
    return features, memory / memory.norm(dim=1, keepdim=True), labels


def naive_loss(features, memory, labels, tau):
    terms = []
    for f, y in zip(features.tolist(), labels.tolist(), strict=True):
        if y < 0:
            continue
        norm = math.sqrt(sum(x * x for x in f))
        s = [sum(a * b for a, b in zip(f, phi, strict=True)) / norm / tau for phi in memory.tolist()]
        terms.append(math.log(sum(math.exp(x - s[y]) for x in s)))
    return sum(terms) / max(len(terms), 1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 12), tau=st.sampled_from((0.05, 0.5)))
def test_is_the_loop(seed, n, tau):
    features, memory, labels = problem(seed, n)
    found = float(cluster_contrast_loss(features, memory, labels, tau))
    assert found == pytest.approx(naive_loss(features, memory, labels, tau), rel=1e-9, abs=1e-9)


def test_gradients_reach_the_features_alone():
    features, memory, labels = problem(1)
    features.requires_grad_()
    memory.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: cluster_contrast_loss(f, memory, labels, 0.5), (features,))
    cluster_contrast_loss(features, memory, labels).backward()
    assert memory.grad is None


@pytest.mark.parametrize("clusters", [0, 4])
def test_no_cluster_gives_zero_and_zero_gradient(clusters):
    features, memory, labels = problem(2)
    features.requires_grad_()
    loss = cluster_contrast_loss(features, memory[:clusters], torch.full_like(labels, -1))
    loss.backward()
    assert loss.item() == 0
    assert not features.grad.any()


def test_float32_under_autocast():
    features, memory, labels = (x.float() if x.is_floating_point() else x for x in problem(3))
    outside = cluster_contrast_loss(features, memory, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = cluster_contrast_loss(features, memory, labels)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, outside)
    assert cluster_contrast_loss(features.bfloat16(), memory, labels).dtype == torch.float32


def test_a_temperature_above_zero():
    with pytest.raises(ValueError, match="temperature"):
        cluster_contrast_loss(*problem(4), temperature=0.0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 15), momentum=st.sampled_from((0.0, 0.1, 0.9)))
def test_the_memory_is_updated_image_by_image(seed, n, momentum):
    features, memory, labels = problem(seed, n)
    expected = memory.clone()
    for f, y in zip(features, labels.tolist(), strict=True):
        if y >= 0:
            moved = momentum * expected[y] + (1 - momentum) * f / f.norm()
            expected[y] = moved / moved.norm()
    update_cluster_memory(memory, features, labels, momentum)
    assert_close(memory, expected)


def test_centroids_are_normalised_means():
    features, _, _ = problem(5, n=5)
    features = features / features.norm(dim=1, keepdim=True)
    labels = torch.tensor([1, 0, -1, 1, 0])
    means = torch.stack([features[[1, 4]].mean(0), features[[0, 3]].mean(0)])
    assert_close(cluster_centroids(features, labels), (means / means.norm(dim=1, keepdim=True)).float())
    assert cluster_centroids(features, torch.full((5,), -1)).shape == (0, 5)
    assert cluster_centroids(features[:0], labels[:0]).shape == (0, 5)


def test_the_memory_holds_no_graph():
    features, memory, labels = problem(6)
    update_cluster_memory(memory, features.requires_grad_(), labels)
    assert not memory.requires_grad
