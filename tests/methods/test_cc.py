"""CC: the mean over the heads, nothing kept."""

import pytest
import torch

from wsreid.losses import classifier_consistent_loss
from wsreid.methods import CC

from .partial_label import assert_gets_through, assert_resume_gives_the_same, batches, made

pytestmark = pytest.mark.usefixtures("tiny_network")


def test_the_term_is_the_mean_over_the_heads():
    model, batch = made(CC), batches()[0]
    outputs = model.outputs(batch)
    expected = sum(classifier_consistent_loss(z, batch.image_candidates) for z in outputs.logits) / 2
    assert torch.allclose(model.losses(batch, outputs)["cc"], expected)


def test_odd_batches():
    assert_gets_through(CC)


def test_resume_gives_the_same(tmp_path):
    assert_resume_gives_the_same(CC, tmp_path)
