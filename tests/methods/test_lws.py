"""LWS: the table's weights inside, the step's own outside."""

import pytest
import torch

from wsreid.errors import ConfigError
from wsreid.losses import leveraged_weighted_loss
from wsreid.methods import LWS

from .partial_label import assert_gets_through, assert_resume_gives_the_same, batches, made

pytestmark = pytest.mark.usefixtures("tiny_network")


def test_weights_are_uniform_at_first_and_then_the_softmax_of_the_step_before():
    model, batch = made(LWS, leverage=2.0), batches()[0]
    torch.nn.init.normal_(model.classifiers[0].weight)
    own = batch.image_candidates
    weights = torch.full((16, 3), 1 / 3)
    for _ in range(2):
        outputs = model.outputs(batch)
        expected = sum(leveraged_weighted_loss(z, own, weights, 1.0, 2.0) for z in outputs.logits) / 2
        assert torch.allclose(model.losses(batch, outputs)["lws"], expected, rtol=1e-3)
        weights = sum(z.detach().gather(1, own).softmax(1) for z in outputs.logits) / 2
        assert torch.allclose(model.table.take(batch.member, own), weights, atol=1e-3)


def test_odd_batches():
    assert_gets_through(LWS, leverage=2.0)


def test_resume_gives_the_same(tmp_path):
    assert_resume_gives_the_same(LWS, tmp_path)


def test_a_negative_leverage_is_refused():
    with pytest.raises(ConfigError, match="leverage"):
        made(LWS, leverage=-1.0)
