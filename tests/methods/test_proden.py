"""PRODEN: the table's targets, how they are refreshed, and that all of it survives a checkpoint."""

import pytest
import torch

from wsreid.errors import ConfigError
from wsreid.losses import candidate_cross_entropy, weighted_candidate_cross_entropy
from wsreid.methods import PRODEN

from .partial_label import assert_gets_through, assert_resume_gives_the_same, batches, made, trained

pytestmark = pytest.mark.usefixtures("tiny_network")


def mean_softmax(outputs, own):
    return sum(z.detach().gather(1, own).softmax(1) for z in outputs.logits) / 2


def test_the_first_target_is_uniform():
    model, batch = made(PRODEN), batches()[0]
    outputs = model.outputs(batch)
    expected = sum(candidate_cross_entropy(z, batch.image_candidates) for z in outputs.logits) / 2
    assert torch.allclose(model.losses(batch, outputs)["ce"], expected)


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_the_next_target_is_what_the_formula_leaves(momentum):
    model, batch = made(PRODEN, momentum=momentum), batches()[0]
    torch.nn.init.normal_(model.classifiers[0].weight)
    own = batch.image_candidates
    target = torch.full((16, 3), 1 / 3)
    for step in range(3):
        torch.nn.init.normal_(model.classifiers[1].weight, generator=torch.Generator().manual_seed(step))
        outputs = model.outputs(batch)
        expected = sum(weighted_candidate_cross_entropy(z, own, target) for z in outputs.logits) / 2
        assert torch.allclose(model.losses(batch, outputs)["ce"], expected, rtol=1e-3)
        target = momentum * target + (1 - momentum) * mean_softmax(outputs, own)
        assert torch.allclose(model.table.take(batch.member, own), target, atol=2e-3)  # float16
        labels = model.pseudo_labels(batch, outputs)
        assert torch.allclose(labels.probs, target, atol=2e-3)
        assert torch.equal(labels.ids, own.gather(1, labels.probs.argmax(1, keepdim=True))[:, 0])


def test_pseudo_labels_of_members_never_written_are_the_softmax():
    model, (seen, unseen) = made(PRODEN).eval(), batches()
    torch.nn.init.normal_(model.classifiers[0].weight)
    model.losses(seen, model.outputs(seen))
    torch.nn.init.normal_(model.classifiers[0].weight)
    old = model.table.take(seen.member, seen.image_candidates)
    assert torch.equal(model.pseudo_labels(seen, model.outputs(seen)).probs, old)
    outputs = model.outputs(unseen)
    expected = mean_softmax(outputs, unseen.image_candidates)
    assert torch.allclose(model.pseudo_labels(unseen, outputs).probs, expected)


def test_odd_batches():
    assert_gets_through(PRODEN, momentum=0.5)


def test_resume_gives_the_same(tmp_path):
    assert_resume_gives_the_same(PRODEN, tmp_path, momentum=0.5)


def test_the_checkpoint_holds_the_table(tmp_path):
    model = trained(PRODEN, tmp_path)
    loaded = PRODEN.load_from_checkpoint(tmp_path / "epoch=1.ckpt", weights_only=True)
    for batch in batches():
        own = batch.image_candidates
        assert torch.equal(loaded.table.take(batch.member, own), model.table.take(batch.member, own))
        assert bool(loaded.table.written(batch.member).all())


def test_a_momentum_of_one_is_refused():
    with pytest.raises(ConfigError, match="momentum must be in"):
        made(PRODEN, momentum=1.0)
