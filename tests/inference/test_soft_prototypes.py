"""Prototypes from soft labels: scores, sums and steps as loops; split over processes they are the same."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from wsreid.inference import drawn_prototypes, prototype_scores, prototype_sums

C, D = 8, 5
CANDIDATES = torch.tensor([[0, 3, 5], [0, 3, 5], [2, 3, -1], [6, -1, -1], [-1, -1, -1]])


def problem(seed):
    generator = torch.Generator().manual_seed(seed)
    features = F.normalize(torch.randn(5, D, generator=generator, dtype=torch.float64), dim=1)
    probs = torch.rand(5, 3, generator=generator, dtype=torch.float64) * (CANDIDATES >= 0)
    probs = probs / probs.sum(1, keepdim=True).clamp(min=1e-9)
    prototypes = F.normalize(torch.randn(C, D, generator=generator, dtype=torch.float64), dim=1)
    prototypes[torch.rand(C, generator=generator) < 0.3] = 0
    return features, probs, prototypes


@given(st.integers(0, 200))
def test_scores_as_a_loop(seed):
    features, _, prototypes = problem(seed)
    found = prototype_scores(features, prototypes, CANDIDATES)
    for i, row in enumerate(CANDIDATES.tolist()):
        own = [c for c in row if c >= 0]
        whole = all(bool(prototypes[c].any()) for c in own)
        expected = [float(features[i] @ prototypes[c]) if c >= 0 and whole else 0.0 for c in row]
        assert found[i].tolist() == pytest.approx(expected)


@given(st.integers(0, 200), st.sampled_from([0.0, 0.5, 0.9]))
def test_a_step_as_a_loop(seed, momentum):
    features, probs, prototypes = problem(seed)
    moved, new = drawn_prototypes(prototypes, *prototype_sums(features, CANDIDATES, probs), momentum)
    found = dict(zip(moved.tolist(), new, strict=True))
    for c in range(C):
        mass, total = 0.0, torch.zeros(D, dtype=torch.float64)
        for i, row in enumerate(CANDIDATES.tolist()):
            for k, label in enumerate(row):
                if label == c:
                    mass += float(probs[i, k]) ** 2
                    total = total + probs[i, k] ** 2 * features[i]
        if mass < 0.05:
            assert c not in found
            continue
        share = (1 - momentum) * min(mass, 1.0) if bool(prototypes[c].any()) else 1.0
        expected = (1 - share) * prototypes[c] + share * total / total.norm()
        assert torch.allclose(found[c], expected / expected.norm())


@given(st.integers(0, 50))
def test_sums_of_two_processes_make_the_step_of_one(seed):
    features, probs, prototypes = problem(seed)
    one = drawn_prototypes(prototypes, *prototype_sums(features, CANDIDATES, probs), 0.5)
    parts = [prototype_sums(features[s], CANDIDATES[s], probs[s]) for s in (slice(0, 2), slice(2, 5))]
    two = drawn_prototypes(prototypes, *(torch.cat(x) for x in zip(*parts, strict=True)), 0.5)
    assert torch.equal(one[0], two[0])
    assert torch.allclose(one[1], two[1])


def test_no_image_moves_nothing():
    features, probs, prototypes = problem(0)
    classes, mass, sums = prototype_sums(features[4:], CANDIDATES[4:], probs[4:])
    assert (len(classes), len(mass), tuple(sums.shape)) == (0, 0, (0, D))
    moved, new = drawn_prototypes(prototypes, classes, mass, sums, 0.5)
    assert (len(moved), tuple(new.shape)) == (0, (0, D))


class Largest(TorchDispatchMode):
    """Remembers the largest tensor that anything made."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        found = made if isinstance(made, (tuple, list)) else [made]
        self.numbers = max([self.numbers, *(one.numel() for one in found if isinstance(one, torch.Tensor))])
        return made


def test_of_a_bank_in_half_precision_no_copy_is_made():
    """A bank for 28,310 classes and a ResNet-50 is 116 MB in half precision; a copy in float32 would be 232 MB."""
    features, probs, _ = problem(0)
    features, bank = features.float(), torch.zeros(1000, D, dtype=torch.float16)
    bank[:C] = F.normalize(torch.randn(C, D, generator=torch.Generator().manual_seed(1)), dim=1).half()
    sums = prototype_sums(features, CANDIDATES, probs.float())
    with Largest() as largest:
        scores = prototype_scores(features, bank, CANDIDATES)
        moved, new = drawn_prototypes(bank, *sums, 0.5)
    assert largest.numbers < len(bank)
    assert scores.dtype == new.dtype == torch.float32
    assert torch.equal(scores, prototype_scores(features, bank.float(), CANDIDATES))
    assert torch.equal(new, drawn_prototypes(bank.float(), *sums, 0.5)[1])
    assert len(moved) == len(new) > 0


def test_nothing_carries_a_graph():
    features, probs, prototypes = problem(1)
    features.requires_grad_()
    sums = prototype_sums(features, CANDIDATES, probs)
    found = (prototype_scores(features, prototypes, CANDIDATES), *sums)
    moved = drawn_prototypes(prototypes.requires_grad_(), *sums, 0.5)
    assert not any(each.requires_grad for each in (*found, *moved))


def test_a_class_without_a_share_is_not_listed():
    features, probs, _ = problem(2)
    probs[:, 0] = 0
    listed = CANDIDATES[:, 1:][CANDIDATES[:, 1:] >= 0]
    assert prototype_sums(features, CANDIDATES, probs)[0].tolist() == sorted(set(listed.tolist()))


def test_steps_are_float32_under_autocast():
    features, probs, prototypes = (x.float() for x in problem(3))
    sums = prototype_sums(features, CANDIDATES, probs)
    outside = drawn_prototypes(prototypes, *sums, 0.5)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(drawn_prototypes(prototypes, *sums, 0.5)[1], outside)
    assert prototype_sums(features.bfloat16(), CANDIDATES, probs)[2].dtype == torch.float32


def test_the_least_mass_moves_a_prototype():
    prototypes, one = torch.zeros(2, 2), torch.tensor([[0.0, 1.0]])
    for mass, moving in [(0.5, [1]), (0.25, [])]:
        found = drawn_prototypes(prototypes, torch.tensor([1]), torch.tensor([mass]), one, 0.5, least=0.5)
        assert found[0].tolist() == moving
