"""Prototypes: the nearest of an image's candidates, and how they move, against loops."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from wsreid.inference import moved_prototypes, nearest_prototype


def random_inputs(seed, n=8, c=6, dims=3, width=3):
    generator = torch.Generator().manual_seed(seed)
    features = normalize(torch.randn(n, dims, generator=generator, dtype=torch.float64), dim=1)
    prototypes = normalize(torch.randn(c, dims, generator=generator, dtype=torch.float64), dim=1)
    prototypes[torch.rand(c, generator=generator) < 0.4] = 0
    candidates = torch.stack([torch.randperm(c, generator=generator)[:width] for _ in range(n)])
    candidates[torch.rand(n, width, generator=generator) < 0.3] = -1
    labels = torch.randint(-1, c, (n,), generator=generator)
    return features, prototypes, candidates, labels


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_nearest_is_the_loop(seed):
    features, prototypes, candidates, _ = random_inputs(seed)
    found = nearest_prototype(features, prototypes, candidates)
    for i, row in enumerate(candidates.tolist()):
        own = [c for c in row if c >= 0]
        if not any(bool(prototypes[c].any()) for c in own):
            assert found.ids[i] == -1
            assert not found.probs[i].any()
            continue
        best = max(own, key=lambda c: float(features[i] @ prototypes[c]))
        assert found.ids[i] == best
        assert found.probs[i].tolist() == [float(c == best) for c in row]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), momentum=st.floats(0, 0.99))
def test_they_move_as_the_loop_moves_them(seed, momentum):
    features, prototypes, _, labels = random_inputs(seed)
    before = prototypes.clone()
    classes, moved = moved_prototypes(prototypes, features, labels, momentum)
    expected = prototypes.clone()
    for q, y in zip(features, labels.tolist(), strict=True):
        if y >= 0:
            expected[y] = momentum * expected[y] + (1 - momentum) * q
    held = sorted({y for y in labels.tolist() if y >= 0})
    assert classes.tolist() == held
    assert torch.allclose(moved, normalize(expected[held], dim=1))
    assert torch.equal(prototypes, before)


def test_a_batch_without_labels_moves_nothing():
    features, prototypes, _, labels = random_inputs(0)
    classes, moved = moved_prototypes(prototypes, features, torch.full_like(labels, -1))
    assert classes.shape == (0,)
    assert moved.shape == (0, 3)


def test_no_candidates_and_bags_of_none():
    features, prototypes, candidates, _ = random_inputs(1)
    assert (nearest_prototype(features, prototypes, torch.full_like(candidates, -1)).ids == -1).all()
    none = nearest_prototype(features, prototypes, candidates[:, :0])
    assert (none.ids == -1).all()
    assert none.probs.shape == (8, 0)


def test_float32_under_autocast():
    features, prototypes, candidates, labels = random_inputs(2)
    features, prototypes = features.float(), prototypes.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = nearest_prototype(features, prototypes, candidates)
        _, moved = moved_prototypes(prototypes, features, labels)
    assert moved.dtype == torch.float32
    assert torch.equal(found.ids, nearest_prototype(features.double(), prototypes.double(), candidates).ids)
    assert torch.allclose(
        moved.double(), moved_prototypes(prototypes.double(), features.double(), labels)[1], atol=1e-6
    )


def test_half_precision_is_computed_in_float32_and_without_a_graph():
    features, prototypes, candidates, labels = random_inputs(3)
    half = features.bfloat16().requires_grad_()
    found = nearest_prototype(half, prototypes.float(), candidates)
    assert torch.equal(found.ids, nearest_prototype(half.float(), prototypes.float(), candidates).ids)
    _, moved = moved_prototypes(prototypes.float(), half, labels)
    assert moved.dtype == torch.float32
    assert not moved.requires_grad
