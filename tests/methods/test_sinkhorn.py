"""Sinkhorn: what is asked of the columns, when, and what is kept."""

from dataclasses import replace

import lightning.pytorch as pl
import pytest
import torch
from torch.testing import assert_close

from wsreid.errors import ConfigError
from wsreid.inference import candidate_softmax, sinkhorn
from wsreid.losses import unary_loss, weighted_candidate_cross_entropy
from wsreid.methods import Sinkhorn

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


def model_and(batch, **options):
    torch.manual_seed(3)
    model = Sinkhorn(num_ids=NUM_IDS, **options).eval()
    for classifier in model.classifiers:
        torch.nn.init.normal_(classifier.weight)
    return model, model.outputs(batch)


def mean_softmax(batch, outputs):
    return sum(candidate_softmax(z, batch.image_candidates) for z in outputs.logits) / len(outputs.logits)


@pytest.mark.parametrize("columns", ["balanced", "presence"])
@pytest.mark.parametrize("target", ["soft", "argmax"])
def test_the_term_is_cross_entropy_to_the_plan(columns, target):
    batch = bag_batch(width=3)
    model, outputs = model_and(batch, columns=columns, target=target)
    candidates = batch.image_candidates
    mass = torch.full((4, 3), 1 / 4 if columns == "presence" else 1 / 3)
    bound = torch.full((4,), columns == "presence")
    plan = sinkhorn(mean_softmax(batch, outputs).log(), candidates, batch.bag, mass, bound, tolerance=1e-3)
    assert_close(outputs.assigned, plan, atol=1e-4, rtol=1e-4)
    terms = model.losses(batch, outputs)
    assert list(terms) == ["ce"]
    if target == "soft":
        expected = sum(weighted_candidate_cross_entropy(z, candidates, plan) for z in outputs.logits) / 2
    else:
        ids = candidates.gather(1, plan.argmax(1, keepdim=True))[:, 0]
        expected = sum(unary_loss(z, ids) for z in outputs.logits) / 2
    assert_close(terms["ce"], expected, atol=1e-3, rtol=1e-4)
    labels = model.pseudo_labels(batch, outputs)
    assert torch.equal(labels.probs, outputs.assigned)
    assert torch.equal(labels.ids, candidates.gather(1, plan.argmax(1, keepdim=True))[:, 0])


def test_whole_bags_hold_each_candidate():
    batch = bag_batch(bags=3, per_bag=6, width=4)
    model, outputs = model_and(batch, columns="presence", tolerance=1e-5)
    model.eps = 0.2
    found = model.outputs(batch).assigned
    for b in range(3):
        assert (found[batch.bag == b].sum(0) >= 1 - 1e-3).all()
    assert not torch.allclose(found, outputs.assigned)


def test_of_a_sample_neither_presence_nor_balance_is_asked_and_it_is_said_once(caplog):
    caplog.set_level("INFO", logger="wsreid")
    batch = bag_batch(bags=4, per_bag=4, width=3)
    batch.bag_size[1] = 9
    for columns in ("balanced", "presence"):
        model, outputs = model_and(batch, columns=columns)
        sample = batch.bag == 1
        # nothing is known of the bag yet: its masses are those of p, and at eps = 1 the plan is p
        assert_close(outputs.assigned[sample], mean_softmax(batch, outputs)[sample], atol=1e-4, rtol=1e-3)
        assert not torch.allclose(outputs.assigned[~sample], mean_softmax(batch, outputs)[~sample], atol=1e-2)
        model.outputs(batch)
    assert sum("only a sample" in record.message for record in caplog.records) == 2  # once each


def test_nothing_is_remembered_of_bags_that_are_drawn_anew(tmp_path):
    """Their ids name other images in the next epoch."""
    data = Served([bag_batch()])
    data.redraw_bags = True
    model = Sinkhorn(num_ids=NUM_IDS, columns="estimated")
    make_trainer(tmp_path, max_epochs=2).fit(model, datamodule=data)
    assert len(model.masses) == 0


def test_masses_are_a_running_average_by_bag():
    batch = bag_batch(bags=4, per_bag=4, width=3)
    model, outputs = model_and(batch, columns="estimated", mass_decay=0.75)
    first = torch.stack([mean_softmax(batch, outputs)[batch.bag == b].mean(0) for b in range(4)])
    model.losses(batch, outputs)
    assert_close(model.masses.take(batch.bag_id, batch.candidates), first, atol=1e-3, rtol=1e-3)
    for classifier in model.classifiers:
        torch.nn.init.normal_(classifier.weight)
    again = model.outputs(batch)
    plan = sinkhorn(mean_softmax(batch, again).log(), batch.image_candidates, batch.bag, first, tolerance=1e-3)
    assert_close(again.assigned, plan, atol=5e-3, rtol=1e-2)
    model.losses(batch, again)
    second = torch.stack([mean_softmax(batch, again)[batch.bag == b].mean(0) for b in range(4)])
    found = model.masses.take(batch.bag_id, batch.candidates)
    assert_close(found, 0.75 * first + 0.25 * second, atol=1e-3, rtol=1e-3)


def test_batches_without_bags_and_bags_without_candidates():
    batch = bag_batch(bags=4, per_bag=2, width=3)
    batch.candidates[2] = -1
    batch = replace(batch, bag_id=torch.full_like(batch.bag_id, -1), member=torch.full_like(batch.member, -1))
    for columns in ("balanced", "estimated", "presence"):
        model, outputs = model_and(batch, columns=columns)
        loss = model.losses(batch, outputs)["ce"]
        assert torch.isfinite(loss)
        labels = model.pseudo_labels(batch, outputs)
        assert (labels.ids[batch.bag == 2] == -1).all()
        assert not labels.probs[batch.bag == 2].any()
        assert len(model.masses) == 0


def test_eps_falls_to_its_last_value_over_the_run(tmp_path):
    class Watched(Sinkhorn):
        def on_train_epoch_end(self):
            super().on_train_epoch_end()
            self.seen = [*getattr(self, "seen", []), self.eps]

    model = Watched(num_ids=NUM_IDS, final_eps=0.25)
    make_trainer(tmp_path, max_epochs=3).fit(model, datamodule=Served([bag_batch(0, width=3)]))
    assert model.seen == pytest.approx([1.0, 0.5, 0.25])


def test_resume_gives_the_same(tmp_path):
    batches = [bag_batch(seed, width=3) for seed in range(2)]

    def trained(root, ckpt=None):
        torch.manual_seed(0)
        model = Sinkhorn(num_ids=NUM_IDS, columns="estimated", lr=0.01)
        saver = pl.callbacks.ModelCheckpoint(root, filename="{epoch}", save_top_k=-1)
        trainer = make_trainer(root, max_epochs=3, enable_checkpointing=True, callbacks=[saver])
        trainer.fit(model, datamodule=Served(batches), ckpt_path=ckpt, weights_only=True)
        return model

    whole = trained(tmp_path / "a")
    resumed = trained(tmp_path / "b", tmp_path / "a" / "epoch=1.ckpt")
    assert resumed.eps == whole.eps == 0.25
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert torch.equal(whole.masses.state_dict()["values"], resumed.masses.state_dict()["values"])
    loaded = Sinkhorn.load_from_checkpoint(tmp_path / "a" / "epoch=2.ckpt", weights_only=True)
    assert loaded.eps == 0.25
    assert len(loaded.masses.state_dict()["member"]) == 8


def test_refuses_what_cannot_be():
    with pytest.raises(ConfigError, match="final_eps"):
        Sinkhorn(num_ids=NUM_IDS, final_eps=0.0)
    with pytest.raises(ConfigError, match="mass_decay"):
        Sinkhorn(num_ids=NUM_IDS, mass_decay=1.0)
