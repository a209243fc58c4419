"""The graph model: its terms are the losses', its switches switch."""

import pytest
import torch

from wsreid.inference import candidate_argmax, greedy_balanced
from wsreid.losses import pairwise_loss, unary_loss, weak_triplet_loss
from wsreid.methods import DGLOfficial

from .conftest import NUM_IDS, bag_batch

pytestmark = pytest.mark.usefixtures("tiny_network")


def model_and(batch, **options):
    torch.manual_seed(3)
    model = DGLOfficial(num_ids=NUM_IDS, **options).eval()
    for classifier in model.classifiers:
        torch.nn.init.normal_(classifier.weight)
    return model, model.outputs(batch)


def test_defaults_are_the_official_sum():
    batch = bag_batch()
    model, outputs = model_and(batch)
    own, low_level = batch.image_candidates, outputs.network.low_level
    heads = [(z, candidate_argmax(z, own).ids) for z in outputs.logits]
    assert not torch.equal(heads[0][1], heads[1][1])  # each head deduces its own labels
    terms = model.losses(batch, outputs)
    assert list(terms) == ["unary", "pairwise", "triplet"]
    assert torch.allclose(terms["unary"], sum(unary_loss(z, y) for z, y in heads) / 2)
    assert torch.allclose(terms["pairwise"], 2 * sum(pairwise_loss(z, y, low_level, 1.0) for z, y in heads) / 2)
    assert torch.allclose(terms["triplet"], 2 * weak_triplet_loss(outputs.network.metric[0], own, 1.2))


def test_bag_scope_counts_pairs_of_a_bag():
    batch = bag_batch()
    model, outputs = model_and(batch, pair_scope="bag", pair_weight=1.0)
    own = batch.image_candidates
    expected = [
        pairwise_loss(z, candidate_argmax(z, own).ids, outputs.network.low_level, 1.0, batch.bag)
        for z in outputs.logits
    ]
    assert torch.allclose(model.losses(batch, outputs)["pairwise"], torch.stack(expected).mean())


@pytest.mark.parametrize("kernel", ["layer1", "rgb", "embedding"])
@pytest.mark.parametrize("detach", [False, True])
def test_kernels(kernel, detach):
    batch = bag_batch()
    model, outputs = model_and(batch, kernel=kernel, detach_kernel=detach)
    low_level = outputs.network.low_level
    features = outputs.network.features
    expected = {
        "layer1": low_level,
        "rgb": torch.nn.functional.adaptive_avg_pool2d(batch.images[0].float() / 255, (8, 4)).flatten(1),
        "embedding": features / features.norm(dim=1, keepdim=True),
    }[kernel]
    terms = model.losses(batch, outputs)
    own = batch.image_candidates
    pairs = [pairwise_loss(z, candidate_argmax(z, own).ids, expected) for z in outputs.logits]
    assert torch.allclose(terms["pairwise"], 2 * torch.stack(pairs).mean())
    if kernel == "layer1":
        full = torch.autograd.grad(terms["pairwise"], model.network.stem.weight, retain_graph=True)[0]
        other = DGLOfficial(num_ids=NUM_IDS, detach_kernel=not detach).eval()
        other.load_state_dict(model.state_dict())
        changed = other.losses(batch, other.outputs(batch))["pairwise"]
        assert not torch.allclose(full, torch.autograd.grad(changed, other.network.stem.weight)[0], rtol=1e-4)


def test_quantile_by_bag():
    batch = bag_batch(bags=4, per_bag=6, width=3)
    model, outputs = model_and(batch, triplet_quantile="by_bag", triplet_weight=1.0)
    expected = weak_triplet_loss(outputs.network.metric[0], batch.image_candidates, 1.2, 1 / 3)
    found = model.losses(batch, outputs)["triplet"]
    assert torch.allclose(found, expected)
    median = weak_triplet_loss(outputs.network.metric[0], batch.image_candidates, 1.2)
    assert not torch.allclose(found, median)


def test_greedy_on_whole_bags():
    batch = bag_batch()
    model, outputs = model_and(batch, inference="greedy")
    own = batch.image_candidates
    heads = [(z, greedy_balanced(z, own, batch.bag).ids) for z in outputs.logits]
    assert any(not torch.equal(y, candidate_argmax(z, own).ids) for z, y in heads)
    assert torch.allclose(model.losses(batch, outputs)["unary"], sum(unary_loss(z, y) for z, y in heads) / 2)
    labels = model.pseudo_labels(batch, outputs)
    assert torch.equal(labels.ids, greedy_balanced(sum(outputs.logits) / 2, own, batch.bag).ids)
    assert torch.allclose(labels.probs.sum(1), torch.ones(len(batch)))


def test_greedy_on_a_sample_falls_back_to_argmax_and_says_so_once(caplog):
    caplog.set_level("INFO", logger="wsreid")
    batch = bag_batch()
    batch.bag_size[1:3] = 5  # two bags have an image that the batch does not hold
    model, outputs = model_and(batch, inference="greedy")
    own = batch.image_candidates
    sample = (batch.bag == 1) | (batch.bag == 2)
    heads = [
        (z, torch.where(sample, candidate_argmax(z, own).ids, greedy_balanced(z, own, batch.bag).ids))
        for z in outputs.logits
    ]
    for _ in range(2):
        assert torch.allclose(model.losses(batch, outputs)["unary"], sum(unary_loss(z, y) for z, y in heads) / 2)
    assert sum("fall back to argmax" in record.message for record in caplog.records) == 1


def test_argmax_pseudo_labels_are_the_bases():
    batch = bag_batch(bag_size=9)
    model, outputs = model_and(batch)
    labels = model.pseudo_labels(batch, outputs)
    expected = sum(z.gather(1, batch.image_candidates).softmax(1) for z in outputs.logits) / 2
    assert torch.allclose(labels.probs, expected)
