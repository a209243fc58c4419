"""The random candidate: uniform on the set, and the same for the same key wherever it is asked."""

import pytest
import torch

from wsreid.inference import hashed_uniform, random_candidate

CANDIDATES = torch.tensor([[3, 5, 9], [-1, 4, 8], [7, -1, -1], [-1, -1, -1]])


def mixed(x):
    """SplitMix64 on Python's integers."""
    x = (x + 0x9E3779B97F4A7C15) % 2**64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
    return x ^ (x >> 31)


def test_the_hash_is_that_of_plain_integers():
    keys = [0, 1, 2, 12345678901, -1, -77]
    found = hashed_uniform(5, torch.tensor(keys)).tolist()
    assert found == [(mixed(mixed(5) ^ (key % 2**64)) >> 11) / 2**53 for key in keys]
    assert mixed(0) == 0xE220A8397B1DCDAF  # the first number of the generator from seed 0


def test_the_hash_is_uniform_and_another_for_another_seed():
    keys = torch.arange(20_000)
    a, b = hashed_uniform(0, keys), hashed_uniform(1, keys)
    counts = torch.histc(a, 10, 0, 1)
    assert (counts - 2000).abs().max() < 250
    assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 0.03
    order = torch.randperm(len(keys), generator=torch.Generator().manual_seed(0))
    assert torch.equal(hashed_uniform(0, keys[order]), a[order])


@pytest.mark.parametrize(
    ("u", "expected"),
    [(0.0, [3, 4, 7, -1]), (0.34, [5, 4, 7, -1]), (0.5, [5, 8, 7, -1]), (1 - 2**-53, [9, 8, 7, -1])],
)
def test_the_place_is_that_share_of_the_list(u, expected):
    found = random_candidate(CANDIDATES, torch.full((4,), u, dtype=torch.float64))
    assert found.ids.tolist() == expected
    assert torch.equal(found.probs.sum(1), torch.tensor([1.0, 1, 1, 0]))
    chosen = found.probs.argmax(1, keepdim=True)
    assert torch.equal(CANDIDATES.gather(1, chosen)[:3, 0], found.ids[:3])


def test_bags_without_candidates():
    found = random_candidate(torch.full((2, 0), -1), torch.tensor([0.5, 0.1]))
    assert found.ids.tolist() == [-1, -1]
    assert found.probs.shape == (2, 0)


@pytest.mark.parametrize(("u", "expected"), [(0.2, 0), (0.7, 4)])
def test_class_0_is_a_candidate_like_any_other(u, expected):
    assert random_candidate(torch.tensor([[-1, 0, 4]]), torch.tensor([u])).ids.tolist() == [expected]
