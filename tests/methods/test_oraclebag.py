"""The graph model's losses on the truth."""

from dataclasses import replace

import pytest
import torch

from wsreid.data.batch import Truth
from wsreid.losses import batch_hard_triplet_loss, pairwise_loss, unary_loss
from wsreid.methods import DGLOfficial, OracleBag

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


def model_and(batch, **options):
    torch.manual_seed(3)
    model = OracleBag(num_ids=NUM_IDS, **options).eval()
    for classifier in model.classifiers:
        torch.nn.init.normal_(classifier.weight)
    return model, model.outputs(batch)


def test_it_has_the_official_sum_on_true_identities():
    batch = bag_batch(width=3)
    model, outputs = model_and(batch)
    ids, low_level = batch.truth.ids, outputs.network.low_level
    terms = model.losses(batch, outputs)
    assert list(terms) == ["unary", "pairwise", "triplet"]
    assert torch.allclose(terms["unary"], sum(unary_loss(z, ids) for z in outputs.logits) / 2)
    pairs = sum(pairwise_loss(z, ids, low_level, 1.0) for z in outputs.logits) / 2
    assert torch.allclose(terms["pairwise"], 2 * pairs)
    assert torch.allclose(terms["triplet"], 2 * batch_hard_triplet_loss(outputs.network.metric[0], ids, 1.2))


def test_it_draws_as_the_graph_model_does_and_is_shown_as_an_oracle():
    assert OracleBag.needs.truth
    assert not OracleBag.needs.identity_batches
    assert OracleBag.needs.whole_bags == DGLOfficial.needs.whole_bags
    assert 4e-3 in OracleBag.search_space["lr"]


def test_options_reach_the_pairwise_term():
    batch = bag_batch(width=3)
    model, outputs = model_and(batch, pair_scope="bag", pair_weight=1.0, sigma=0.5, detach_kernel=True)
    pairs = [pairwise_loss(z, batch.truth.ids, outputs.network.low_level, 0.5, batch.bag, True) for z in outputs.logits]
    term = model.losses(batch, outputs)["pairwise"]
    assert torch.allclose(term, torch.stack(pairs).mean())


def test_unknown_identities_give_no_loss():
    batch = bag_batch(bags=2, per_bag=2)
    batch = replace(batch, truth=Truth(ids=torch.full_like(batch.truth.ids, -1)))
    model, outputs = model_and(batch)
    terms = model.losses(batch, outputs)
    assert [float(term) for term in terms.values()] == [0, 0, 0]


def test_it_learns_the_training_bags(tmp_path):
    batches = [bag_batch(seed, width=3) for seed in range(2)]
    model = OracleBag(num_ids=NUM_IDS, lr=0.02, triplet_weight=0.0)
    before = sum(float(model.losses(b, model.outputs(b))["unary"].detach()) for b in batches)
    make_trainer(tmp_path, max_epochs=15).fit(model, datamodule=Served(batches))
    after = sum(float(model.losses(b, model.outputs(b))["unary"].detach()) for b in batches)
    assert after < before
