"""The graph model on soft labels: its terms and its inference are those of the pure functions, its memory is kept."""

import functools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from wsreid.errors import ConfigError
from wsreid.inference import bag_couplings, certainty, mean_field, prototype_scores
from wsreid.losses import (
    classifier_consistent_loss,
    prototype_contrast_loss,
    soft_pairwise_loss,
    weighted_candidate_cross_entropy,
)
from wsreid.methods import DGL

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


def model_and(batch, **options):
    torch.manual_seed(3)
    model = DGL(num_ids=NUM_IDS, **({"warm_start": 0.0, "sure_enough": 0.0} | options)).eval()
    for classifier in model.classifiers:
        torch.nn.init.normal_(classifier.weight)
    return model, model.outputs(batch)


def timed(batch):
    n = len(batch)
    return replace(
        batch, camera=batch.bag % 2, sequence=torch.zeros(n, dtype=torch.long), frame=torch.arange(n) // 2 * 12
    )


def unit(outputs):
    return F.normalize(outputs.network.features, dim=1)


def test_without_its_parts_the_gradient_is_that_of_cc():
    batch = bag_batch(width=3)
    off = {"bank_weight": 0.0, "rounds": 0, "presence": False, "smoothing": 0.0}
    model, outputs = model_and(batch, **off)
    outputs = replace(outputs, logits=outputs.logits[:1])
    terms = model.losses(batch, outputs)
    assert list(terms) == ["unary"]
    found = torch.autograd.grad(terms["unary"], outputs.logits[0], retain_graph=True)[0]
    cc = classifier_consistent_loss(outputs.logits[0], batch.image_candidates)
    assert torch.allclose(found, torch.autograd.grad(cc, outputs.logits[0])[0], atol=1e-6)


def test_soft_labels_keep_a_share_of_what_they_were():
    batch = timed(bag_batch(width=3))
    model, outputs = model_and(batch, momentum=0.25)
    own = batch.image_candidates
    soft = 0.25 / 3 + 0.75 * model.infer(batch, outputs)
    first = model.losses(batch, outputs)["unary"]
    expected = sum(weighted_candidate_cross_entropy(z, own, soft, 0.1) for z in outputs.logits) / 2
    assert torch.allclose(first, expected)
    assert torch.allclose(model.table.take(batch.member, own), soft, atol=2e-3)
    soft = 0.25 * model.table.take(batch.member, own) + 0.75 * model.infer(batch, outputs)
    again = model.losses(batch, outputs)["unary"]
    assert torch.allclose(again, sum(weighted_candidate_cross_entropy(z, own, soft, 0.1) for z in outputs.logits) / 2)
    assert torch.equal(model.pseudo_labels(batch, outputs).probs, model.table.take(batch.member, own))


def test_inference_is_mean_field_on_softmax_bank_and_graph():
    batch = timed(bag_batch(width=3))
    model, outputs = model_and(batch, presence=False, rounds=4)
    model.losses(batch, outputs)
    model.after_step()  # fills the bank
    own, f = batch.image_candidates, unit(outputs)
    assert bool(model.bank[own.unique()].any(1).all())
    softmax = sum(z.gather(1, own).softmax(1) for z in outputs.logits) / 2
    unary = softmax.log() + prototype_scores(f, model.bank, own) / 0.07
    times = (batch.bag, batch.camera, batch.sequence, batch.frame)
    coupling = bag_couplings(f, *times, 1.0, 0.5, 1.0, 0.5)
    assert torch.allclose(model.infer(batch, outputs), mean_field(unary, own, coupling, 4), atol=1e-5)
    assert torch.equal(model.couplings(batch, outputs), coupling)
    assert torch.allclose(sum(model.unaries(batch, outputs)), unary)
    model.sure_enough = 2.0
    assert not bool(model.unaries(batch, outputs)[1].any())


def test_each_switch_turns_its_part_off():
    batch = timed(bag_batch(width=3))
    model, outputs = model_and(batch)
    model.losses(batch, outputs)
    model.after_step()
    own = batch.image_candidates
    softmax = sum(z.gather(1, own).softmax(1) for z in outputs.logits) / 2
    whole = model.infer(batch, outputs)
    for name, off in (("bank_weight", 0.0), ("rounds", 0), ("presence", False)):
        before = getattr(model, name)
        setattr(model, name, off)
        assert not torch.allclose(model.infer(batch, outputs), whole, atol=1e-4), name
        setattr(model, name, before)
    model.bank_weight, model.rounds, model.presence = 0.0, 0, False
    assert torch.allclose(model.infer(batch, outputs), softmax, atol=1e-6)


def test_presence_gives_each_candidate_an_image_of_whole_bags_alone(caplog):
    caplog.set_level("INFO", logger="wsreid")
    batch = bag_batch(bags=2, per_bag=6, width=4)
    batch.bag_size[1] = 60
    model, outputs = model_and(batch, bank_weight=0.0, rounds=0)
    biased = replace(
        outputs, logits=tuple(z + 9 * (torch.arange(NUM_IDS) == batch.candidates[:, :1][0]) for z in outputs.logits)
    )
    mass = torch.zeros(2, 4).index_add_(0, batch.bag, model.infer(batch, biased))
    assert bool((mass[0] > 0.97).all())
    model.presence = False
    free = model.infer(batch, biased)
    model.presence = True
    assert torch.allclose(model.infer(batch, biased)[batch.bag == 1], free[batch.bag == 1], atol=1e-4)
    assert sum("presence holds for whole bags" in record.message for record in caplog.records) == 1


def test_the_pairwise_term_is_the_loss_on_the_couplings():
    batch = timed(bag_batch(width=3))
    model, outputs = model_and(batch, pair_weight=0.5, kernel="layer1", sigma=1.0)
    own = batch.image_candidates
    coupling = bag_couplings(
        outputs.network.low_level, batch.bag, batch.camera, batch.sequence, batch.frame, 1.0, 1.0, 1.0, 0.5
    )
    expected = 0.5 * sum(soft_pairwise_loss(z, own, coupling) for z in outputs.logits) / 2
    assert torch.allclose(model.losses(batch, outputs)["pairwise"], expected)


@pytest.mark.parametrize("by_certainty", [True, False])
def test_the_contrast_is_with_the_bank_as_it_was_before_the_step(by_certainty):
    batch = timed(bag_batch(width=3))
    model, outputs = model_and(batch, contrast_weight=0.5, contrast_temperature=0.3)
    assert float(model.losses(batch, outputs)["contrast"].detach()) == 0  # no prototype yet
    model.after_step()
    own, bank, soft = batch.image_candidates, model.bank.clone(), model.infer(batch, outputs)
    model.by_certainty = by_certainty
    share = soft * certainty(soft, own)[:, None] if by_certainty else soft
    expected = 0.5 * prototype_contrast_loss(outputs.network.features, bank, own, share, 0.3)
    found = model.losses(batch, outputs)["contrast"]
    assert torch.allclose(found, expected)
    assert float(found.detach()) > 0
    assert torch.equal(model.bank, bank)
    model.after_step()
    assert not torch.equal(model.bank, bank)
    model.warm_start = 0.5  # no trainer: the run is at its start
    assert "contrast" not in model.losses(batch, outputs)
    model.warm_start, model.contrast_weight = 0.0, 0.0
    assert "contrast" not in model.losses(batch, outputs)


def test_the_bank_is_asked_once_the_labels_are_sure_enough():
    batch = bag_batch(width=3)
    model, outputs = model_and(batch, sure_enough=0.2, rounds=0, presence=False)
    sure = replace(outputs, logits=tuple(4000 * z for z in outputs.logits))
    told = []
    for step in range(1, 60):
        enough = float(model.sureness) >= 0.2
        told.append("contrast" in model.losses(batch, sure))
        assert told[-1] == enough
        expected = certainty(model.pseudo_labels(batch, sure).probs, batch.image_candidates).mean()
        model.after_step()
        if not enough:  # then the bank has no say in the labels, which stay as they are
            assert float(model.sureness) == pytest.approx((1 - 0.95**step) * float(expected), abs=0.01)
    assert not told[0]
    assert told[-1]


def test_the_gradient_is_that_of_the_bank_before_the_step_also_where_classes_are_many(monkeypatch):
    batch = timed(bag_batch(width=3))
    model, outputs = model_and(batch)
    model.losses(batch, outputs)
    model.after_step()
    in_one = torch.autograd.grad(model.losses(batch, outputs)["contrast"], outputs.network.features, retain_graph=True)
    few = functools.partial(prototype_contrast_loss, chunk=5)
    monkeypatch.setattr("wsreid.methods.dgl.prototype_contrast_loss", few)
    term = model.losses(batch, outputs)["contrast"]
    (in_parts,) = torch.autograd.grad(term, outputs.network.features)
    assert torch.allclose(in_one[0], in_parts, atol=1e-6)


@pytest.mark.parametrize("width", [1, 2])
def test_a_bag_of_one_image_or_one_candidate(width):
    batch = bag_batch(bags=3, per_bag=1, width=width)
    model, outputs = model_and(batch)
    for _ in range(2):
        assert all(bool(torch.isfinite(term)) for term in model.losses(batch, outputs).values())
    assert torch.allclose(model.infer(batch, outputs).sum(1), torch.ones(3))


def test_images_without_candidates_give_no_loss_and_no_label():
    batch = bag_batch()
    empty = replace(batch, candidates=torch.full_like(batch.candidates, -1))
    model, outputs = model_and(empty)
    assert float(model.losses(empty, outputs)["unary"].detach()) == 0.0
    assert not bool(model.infer(empty, outputs).any())
    assert not bool(model.bank.any())


def test_resume_gives_the_same_weights_table_and_bank(tmp_path):
    data = [bag_batch(seed) for seed in range(3)]

    def trained(epochs, name, ckpt_path=None):
        torch.manual_seed(0)
        model = DGL(num_ids=NUM_IDS, warm_start=0.0, sure_enough=0.0)
        trainer = make_trainer(tmp_path, max_epochs=epochs)
        trainer.fit(model, datamodule=Served(data), ckpt_path=ckpt_path, weights_only=True)
        trainer.save_checkpoint(tmp_path / name)
        return model

    whole = trained(3, "whole.ckpt")
    trained(1, "first.ckpt")
    resumed = trained(3, "resumed.ckpt", tmp_path / "first.ckpt")
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in whole.state_dict().items())
    assert torch.equal(whole.table.state_dict()["values"], resumed.table.state_dict()["values"])
    assert bool(whole.bank.any())


@pytest.mark.parametrize(
    ("option", "value"),
    [("momentum", 1.0), ("bank_momentum", -0.1), ("smoothing", 1.0), ("sigma", 0.0), ("rounds", -1), ("warm_start", 2)],
)
def test_options_out_of_range_are_named(option, value):
    with pytest.raises(ConfigError, match=option):
        DGL(num_ids=NUM_IDS, **{option: value})
