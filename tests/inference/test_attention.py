"""Attention inside bags against loops."""

import math

import pytest
import torch
from torch.testing import assert_close

from tests.losses.bag_inputs import images_of, random_bags
from wsreid.inference import attend, bag_softmax


@pytest.mark.parametrize("seed", range(5))
def test_the_loops(seed):
    logits, bag, candidates, features = random_bags(seed)
    scores = logits[:, :3]
    weights = bag_softmax(scores, bag, candidates)
    pooled = attend(weights, features, bag, 3)
    for b in range(3):
        images = images_of(bag, b)
        for column in range(3):
            total = sum(math.exp(float(scores[i, column])) for i in images)
            expected = [
                math.exp(float(scores[i, column])) / total if candidates[b, column] >= 0 else 0.0 for i in images
            ]
            assert weights[images, column].tolist() == pytest.approx(expected)
            gathered = sum(w * features[i] for w, i in zip(expected, images, strict=True))
            assert_close(pooled[b, column], gathered)


def test_gradients():
    logits, bag, candidates, features = random_bags(8)
    inputs = (logits[:, :3].clone().requires_grad_(), features.requires_grad_())
    assert torch.autograd.gradcheck(lambda e, f: attend(bag_softmax(e, bag, candidates), f, bag, 3), inputs)


def test_one_image_takes_all_and_equal_scores_share():
    weights = bag_softmax(torch.zeros(4, 2), torch.tensor([0, 1, 1, 1]), torch.tensor([[3, 4], [5, -1]]))
    assert_close(weights, torch.tensor([[1.0, 1.0], [1 / 3, 0.0], [1 / 3, 0.0], [1 / 3, 0.0]]))


def test_large_scores_and_empty_bags_are_finite():
    scores = torch.tensor([[1e4], [-1e4]], requires_grad=True)
    weights = bag_softmax(scores, torch.tensor([1, 1]), torch.tensor([[2], [3], [4]]))  # bags 0 and 2 have no image
    assert weights.flatten().tolist() == [1.0, 0.0]
    pooled = attend(weights, torch.ones(2, 3), torch.tensor([1, 1]), 3)
    assert pooled.sum((1, 2)).tolist() == [0.0, 3.0, 0.0]
    pooled.sum().backward()
    assert scores.grad.isfinite().all()


def test_half_precision_becomes_float32():
    scores = torch.zeros(2, 1, dtype=torch.bfloat16)
    assert bag_softmax(scores, torch.tensor([0, 0]), torch.tensor([[1]])).dtype == torch.float32
