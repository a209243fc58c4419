"""The greedy assignment: against the official code's labels, and its laws."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.inference import greedy_balanced, greedy_balanced_bag

FOLDER = Path(os.environ.get("WSREID_CONFORMANCE") or Path(__file__).parents[1] / "conformance")
FILES = sorted(FOLDER.glob("greedy_assignment_*.npz"))


@pytest.mark.parametrize("path", FILES or [None], ids=lambda path: path.stem if path else "none")
def test_official_assignment(path):
    if path is None:
        assert "WSREID_CONFORMANCE" in os.environ, f"no greedy_assignment_*.npz in {FOLDER}"
        pytest.skip(f"WSREID_CONFORMANCE names {FOLDER}, which holds no greedy_assignment_*.npz")
    with np.load(path) as file:
        scores, bag_labels, assigned = file["scores"], file["bag_labels"], file["assigned"]
    # equal votes go to the first label of the list; the official code's list is in a Python set's order
    candidates = torch.tensor(list(set(bag_labels.tolist()))).expand(len(scores), -1)
    bag = torch.zeros(len(scores), dtype=torch.long)
    labels = greedy_balanced(torch.from_numpy(scores), candidates, bag)
    assert labels.ids.tolist() == assigned.tolist()


def naive(scores):
    """The rule word for word: winners label all their voters, only the best q are frozen."""
    n, K = scores.shape
    q = max(1, n // K)
    labels, frozen, open_labels = [None] * n, set(), list(range(K))
    for _ in range(K):
        votes = {k: [] for k in open_labels}
        for i in range(n):
            if i not in frozen:
                votes[max(open_labels, key=lambda k: scores[i, k])].append(i)
        winner = max(open_labels, key=lambda k: len(votes[k]))
        for i in votes[winner]:
            labels[i] = winner
        frozen |= set(sorted(votes[winner], key=lambda i: -scores[i, winner])[:q])
        open_labels.remove(winner)
    return labels


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 13), K=st.integers(1, 6))
def test_is_the_loop_and_is_balanced(seed, n, K):
    scores = np.random.default_rng(seed).normal(size=(n, K))
    labels = greedy_balanced_bag(scores)
    counts = np.bincount(labels, minlength=K)
    if n >= K:
        assert labels.tolist() == naive(scores)
        assert counts.min() >= n // K
    else:
        assert counts.max() == 1


def test_ties_go_to_the_first():
    assert greedy_balanced_bag(np.zeros((4, 2))).tolist() == [0, 0, 1, 1]


def test_bags_are_apart_and_padding_is_ignored():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(9, 12, generator=generator, requires_grad=True)
    bag = torch.tensor([0, 1, 0, 1, 0, 1, 0, 2, 1])
    lists = torch.tensor([[3, 7, -1], [0, 2, 11], [-1, -1, -1]])
    labels = greedy_balanced(logits, lists[bag], bag)
    for index, own in [(0, [3, 7]), (1, [0, 2, 11])]:
        images = torch.nonzero(bag == index)[:, 0]
        alone = greedy_balanced_bag(logits[images][:, own].detach().numpy())
        assert labels.ids[images].tolist() == [own[k] for k in alone]
    assert labels.ids[7] == -1
    assert labels.probs.sum(1).tolist() == [1, 1, 1, 1, 1, 1, 1, 0, 1]
    found = lists[bag].gather(1, labels.probs.argmax(1, keepdim=True))[:, 0]
    assert torch.equal(found[bag != 2], labels.ids[bag != 2])


def test_no_candidate_column_at_all():
    labels = greedy_balanced(torch.randn(2, 4), torch.empty(2, 0, dtype=torch.long), torch.zeros(2, dtype=torch.long))
    assert labels.ids.tolist() == [-1, -1]
    assert labels.probs.shape == (2, 0)
