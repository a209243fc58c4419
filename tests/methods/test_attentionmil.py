"""Attention with a query per class: its scores, what learns, and what a checkpoint holds."""

import math

import pytest
import torch

from wsreid.errors import ConfigError
from wsreid.losses import attention_bag_loss
from wsreid.methods import AttentionMIL
from wsreid.methods.attentionmil import BagAttention

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


@pytest.mark.parametrize("gated", [False, True])
def test_scores_are_the_formula(gated):
    torch.manual_seed(0)
    attention = BagAttention(5, num_ids=7, hidden=3, gated=gated)
    features = torch.randn(4, 5)
    candidates = torch.tensor([[1, 6], [0, -1], [1, 6], [2, 3]])
    found = attention(features, candidates)
    for i in range(4):
        for column, c in enumerate(candidates[i].tolist()):
            if c < 0:
                continue
            total = 0.0
            for k in range(3):
                value = math.tanh(float(attention.content.weight[k] @ features[i] + attention.content.bias[k]))
                if gated:
                    value /= 1 + math.exp(-float(attention.gate.weight[k] @ features[i] + attention.gate.bias[k]))
                total += float(attention.queries[c, k]) * value
            assert float(found[i, column]) == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize("gated", [False, True])
def test_the_term_is_the_mean_over_the_heads(gated):
    model = AttentionMIL(num_ids=NUM_IDS, gated=gated, hidden=4).eval()
    batch = bag_batch(width=3)
    outputs = model.outputs(batch)
    terms = model.losses(batch, outputs)
    assert list(terms) == ["ce"]
    expected = [
        attention_bag_loss(z, attention(h, batch.image_candidates), batch.bag, batch.candidates)
        for z, h, attention in zip(outputs.logits, outputs.network.heads, model.attention, strict=True)
    ]
    assert torch.allclose(terms["ce"], sum(expected) / 2)


def test_only_the_queries_of_candidates_learn_and_at_the_heads_rate():
    model = AttentionMIL(num_ids=NUM_IDS, lr=0.1, classifier_lr_factor=3.0)
    batch = bag_batch(bags=2)
    model.losses(batch, model.outputs(batch))["ce"].backward()
    named = torch.zeros(NUM_IDS, dtype=torch.bool)
    named[batch.candidates.flatten()] = True
    for attention in model.attention:
        moved = attention.queries.grad.abs().sum(1) > 0
        assert torch.equal(moved, named)
        assert attention.gate.weight.grad.abs().sum() > 0
    groups = {g["name"]: g for g in model.configure_optimizers().param_groups}
    assert groups["classifiers"]["lr"] == pytest.approx(0.3)
    assert any(p is model.attention[0].queries for p in groups["classifiers"]["params"])


def test_embedding_does_without_it():
    model = AttentionMIL(num_ids=NUM_IDS).eval()
    images = bag_batch().images[0]
    before = model.embed(images)
    torch.nn.init.normal_(model.attention[0].queries)
    assert torch.equal(model.embed(images), before)


def test_checkpoint_holds_the_attention(tmp_path):
    torch.manual_seed(0)
    model = AttentionMIL(num_ids=NUM_IDS, lr=0.05, hidden=6)
    trainer = make_trainer(tmp_path, max_epochs=2)
    trainer.fit(model, datamodule=Served([bag_batch(seed) for seed in range(3)]))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    loaded = AttentionMIL.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert torch.equal(loaded.attention[1].queries, model.attention[1].queries)


def test_refuses():
    with pytest.raises(ConfigError, match="hidden"):
        AttentionMIL(num_ids=NUM_IDS, hidden=0)
