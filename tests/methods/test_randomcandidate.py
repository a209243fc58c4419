"""The random candidate: fixed for a member, or drawn anew."""

from dataclasses import replace

import pytest
import torch

from wsreid.losses import unary_loss
from wsreid.methods import RandomCandidate

from .conftest import NUM_IDS, Served, bag_batch, make_trainer
from .partial_label import assert_gets_through, assert_resume_gives_the_same, batches, made

pytestmark = pytest.mark.usefixtures("tiny_network")


def test_the_draw_is_the_members_in_any_batch_and_order():
    model, batch = made(RandomCandidate).eval(), batches()[1]
    outputs = model.outputs(batch)
    labels = model.pseudo_labels(batch, outputs)
    expected = sum(unary_loss(z, labels.ids) for z in outputs.logits) / 2
    assert torch.allclose(model.losses(batch, outputs)["ce"], expected)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(0))
    shuffled = replace(
        batch, images=batch.images[:, order], bag=batch.bag[order], member=batch.member[order], row=batch.row[order]
    )
    assert torch.equal(model.pseudo_labels(shuffled, model.outputs(shuffled)).ids, labels.ids[order])


def test_each_candidate_is_drawn_about_as_often():
    model, batch = made(RandomCandidate).eval(), bag_batch(bags=1, per_bag=900, width=3)
    ids = model.pseudo_labels(batch, model.outputs(batch)).ids
    assert torch.bincount(ids, minlength=NUM_IDS)[batch.candidates[0]].tolist() == pytest.approx([300] * 3, abs=50)


def test_no_member_falls_back_to_the_row():
    model, batch = made(RandomCandidate).eval(), bag_batch(bags=1, per_bag=40, width=3)
    outputs = model.outputs(batch)
    by_row = model.pseudo_labels(replace(batch, member=torch.full((40,), -1)), outputs).ids
    assert len(by_row.unique()) == 3
    assert not torch.equal(by_row, model.pseudo_labels(batch, outputs).ids)


@pytest.mark.parametrize("redraw", [False, True])
def test_the_seed_and_the_step_decide(redraw, tmp_path):
    drawn = []

    class Spied(RandomCandidate):
        def _draw(self, batch):
            found = super()._draw(batch)
            drawn.append(found.ids)
            return found

    def draws(seed):
        drawn.clear()
        data = Served([bag_batch(width=3)])
        data.seed = seed
        make_trainer(tmp_path, max_epochs=2).fit(made(Spied, redraw=redraw), datamodule=data)
        return list(drawn)

    first, again, other = draws(0), draws(0), draws(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert torch.equal(first[0], first[-1]) is not redraw


def test_redrawn_labels_do_not_last_so_pseudo_labels_are_the_softmax():
    model, batch = made(RandomCandidate, redraw=True).eval(), batches()[0]
    outputs = model.outputs(batch)
    own = batch.image_candidates
    expected = sum(z.gather(1, own).softmax(1) for z in outputs.logits) / 2
    assert torch.allclose(model.pseudo_labels(batch, outputs).probs, expected)


@pytest.mark.parametrize("redraw", [False, True])
def test_odd_batches(redraw):
    assert_gets_through(RandomCandidate, redraw=redraw)


def test_resume_gives_the_same(tmp_path):
    assert_resume_gives_the_same(RandomCandidate, tmp_path, redraw=True)
