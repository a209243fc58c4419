"""PiCO: two views, the key encoder, queue and prototypes, the correction of soft labels, in one process and in two."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import normalize

from wsreid.errors import ConfigError
from wsreid.inference import nearest_prototype
from wsreid.losses import momentum_contrastive_loss, supervised_contrastive_loss
from wsreid.methods import PiCO
from wsreid.methods.gathering import gather_rows

from .conftest import Served, make_trainer
from .partial_label import assert_gets_through, assert_resume_gives_the_same, batches, made, trained

pytestmark = pytest.mark.usefixtures("tiny_network")
SMALL = {"queue": 40, "projection_dim": 5}


def naive_prototypes(prototypes, query, guess, momentum):
    moved = prototypes.clone()
    for q, y in zip(query, guess.tolist(), strict=True):
        moved[y] = momentum * moved[y] + (1 - momentum) * q
    return normalize(moved, dim=1)


def test_views_keys_and_queries():
    model, batch = made(PiCO, **SMALL), batches(views=2)[0]
    torch.nn.init.normal_(model.projections[0][0].weight)  # away from the follower
    outputs = model.outputs(batch)
    assert outputs.query.requires_grad
    assert not outputs.key.requires_grad
    assert outputs.query.shape == outputs.key.shape == (16, 5)
    follower = model.follower.network(model.normalise(batch.images[1])).metric[0]
    assert torch.allclose(outputs.key, normalize(model.follower.classifiers[0](follower), dim=1), atol=1e-6)
    one = replace(batch, images=batch.images[:1])
    quiet = model.eval().outputs(one)
    assert torch.equal(quiet.key, quiet.query)


def test_the_key_encoder_has_no_classifier_and_follows_the_projection():
    model = made(PiCO, **SMALL)
    names = [name for name, _ in model.follower.named_parameters()]
    assert any("classifiers.0.0.weight" in name for name in names)  # the projection's first layer
    assert all(p.shape[0] != 12 for p in model.follower.classifiers.parameters())


def test_warm_up_is_mocos_and_leaves_the_table_alone():
    model, batch = made(PiCO, **SMALL), batches(views=2)[0]
    outputs = model.outputs(batch)
    for step in range(3):
        queue, filled = model.queue.clone(), model.queue_label >= 0
        assert int(filled.sum()) == min(16 * step, 40)
        expected = 0.5 * momentum_contrastive_loss(outputs.query, outputs.key, queue, filled)
        assert torch.allclose(model.losses(batch, outputs)["contrast"], expected)
    assert len(model.table) == 0
    assert model.prototypes.any()


def test_after_it_prototypes_correct_the_soft_labels():
    model, batch = made(PiCO, moco_epochs=0, **SMALL), batches(views=2)[0]
    make_trainer(None, max_epochs=4).strategy.connect(model)
    model.trainer = make_trainer(None, max_epochs=4)
    torch.nn.init.normal_(model.classifiers[0].weight)
    own = batch.image_candidates
    soft = torch.full((16, 3), 1 / 3)
    prototypes = torch.zeros(12, 5)
    for step in range(3):
        outputs = model.outputs(batch)
        guess = own.gather(1, model.softmax(batch, outputs).argmax(1, keepdim=True))[:, 0]
        queue, queue_label = model.queue.clone(), model.queue_label.clone()
        nearest = nearest_prototype(outputs.query, prototypes, own)
        assert bool((nearest.ids >= 0).any()) is (step > 0)
        terms = model.losses(batch, outputs)
        expected = supervised_contrastive_loss(outputs.query, outputs.key, queue, guess, queue_label)
        assert torch.allclose(terms["contrast"], 0.5 * expected)
        soft = torch.where(nearest.ids[:, None] >= 0, 0.95 * soft + 0.05 * nearest.probs, soft)
        assert torch.allclose(model.table.take(batch.member, own), soft, atol=2e-3)
        prototypes = naive_prototypes(prototypes, outputs.query.detach(), guess, 0.99)
        assert torch.allclose(model.prototypes, prototypes, atol=1e-6)


def test_the_queue_is_a_ring():
    model = made(PiCO, **SMALL)
    keys = normalize(torch.randn(48, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.arange(48) % 12
    labels[5] = -1  # an image without candidates has no place in it
    for part in range(3):
        at = slice(16 * part, 16 * part + 16)
        model._remember(keys[at], keys[at], labels[at])
    kept = torch.cat([keys[:5], keys[6:]])
    ring = torch.cat([kept[40:], kept[7:40]])
    assert torch.equal(model.queue, ring)
    assert int(model.queue_next) == 7
    assert torch.equal(model.queue_label[:7], labels[41:])


def test_phi_falls_over_the_run(tmp_path):
    seen = []

    class Spied(PiCO):
        def losses(self, batch, outputs):
            seen.append(self.phi)
            return super().losses(batch, outputs)

    trained(Spied, tmp_path, epochs=3, data=batches(views=2)[:1], **SMALL)
    assert seen == pytest.approx([0.95, 0.90, 0.85])


def test_a_queue_smaller_than_a_batch_is_refused_before_any_is_drawn(tmp_path):
    class Draw:
        bags_per_batch, images_per_bag = 4, 11

    data = Served([])
    data.training_draw = Draw
    with pytest.raises(ConfigError, match=r"queue=40 cannot hold .* up to 44 images"):
        make_trainer(tmp_path).fit(made(PiCO, **SMALL), datamodule=data)
    with pytest.raises(ConfigError, match="queue=15 cannot hold"):
        trained(PiCO, tmp_path, queue=15)


@pytest.mark.parametrize(
    "options", [{"queue": 0}, {"key_momentum": 1.0}, {"phi_end": -0.1}, {"temperature": 0.0}], ids=str
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        made(PiCO, **options)


@pytest.mark.parametrize("moco_epochs", [0, 1])
def test_odd_batches(moco_epochs, monkeypatch):
    monkeypatch.setattr(PiCO, "phi", 0.9)
    assert_gets_through(PiCO, moco_epochs=moco_epochs, **SMALL)


def test_resume_gives_the_same(tmp_path):
    assert_resume_gives_the_same(PiCO, tmp_path, key_momentum=0.9, **SMALL)


def test_one_process_gathers_nothing():
    rows = torch.ones(2, 3, requires_grad=True)
    assert torch.equal(gather_rows(rows), rows)
    assert not gather_rows(rows).requires_grad
