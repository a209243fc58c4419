"""Pooling: the term is the loss's, over what the batch holds."""

from dataclasses import replace

import pytest
import torch

from wsreid.errors import ConfigError
from wsreid.losses import pooled_bag_loss
from wsreid.methods import MILPool

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


@pytest.mark.parametrize("pool", ["max", "mean", "topk", "lse", "noisyor"])
@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_the_term_is_the_mean_over_the_heads(pool, loss):
    model = MILPool(num_ids=NUM_IDS, pool=pool, loss=loss, share=0.5, sharpness=2.0).eval()
    batch = bag_batch(width=3)
    outputs = model.outputs(batch)
    terms = model.losses(batch, outputs)
    assert list(terms) == [loss]
    expected = [pooled_bag_loss(z, batch.bag, batch.candidates, pool, loss, 0.5, 2.0) for z in outputs.logits]
    assert torch.allclose(terms[loss], sum(expected) / 2)


@pytest.mark.parametrize("pool", ["max", "mean", "topk", "lse", "noisyor"])
@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_trains_whatever_the_pool(pool, loss, tmp_path):
    torch.manual_seed(0)
    model = MILPool(num_ids=NUM_IDS, lr=0.05, pool=pool, loss=loss)
    batch = bag_batch()
    trainer = make_trainer(tmp_path, max_epochs=15)
    before = float(model.eval().losses(batch, model.outputs(batch))[loss])
    trainer.fit(model, datamodule=Served([batch]))
    assert float(model.eval().losses(batch, model.outputs(batch))[loss]) < 0.8 * before


def test_a_sample_of_a_bag_is_pooled_as_it_is():
    model = MILPool(num_ids=NUM_IDS).eval()
    batch = bag_batch()
    sampled = replace(batch, bag_size=batch.bag_size + 9, member=torch.full_like(batch.member, -1))
    outputs = model.outputs(batch)
    assert torch.equal(model.losses(batch, outputs)["ce"], model.losses(sampled, outputs)["ce"])


@pytest.mark.parametrize("options", [{"share": 0.0}, {"share": 1.5}, {"sharpness": 0.0}])
def test_refuses(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        MILPool(num_ids=NUM_IDS, **options)
