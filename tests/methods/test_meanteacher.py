"""Mean teacher: who looks at which view, what is kept, what is scored."""

import lightning.pytorch as pl
import pytest
import torch
from torch.testing import assert_close

from wsreid.errors import ConfigError
from wsreid.inference import candidate_softmax, sharpened
from wsreid.losses import weighted_candidate_cross_entropy
from wsreid.methods import MeanTeacher

from .conftest import NUM_IDS, Served, bag_batch, eval_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


def made(**options):
    """A model whose teacher has other weights than the student."""
    torch.manual_seed(3)
    model = MeanTeacher(num_ids=NUM_IDS, **options)
    for classifier in (*model.classifiers, *model.follower.classifiers):
        torch.nn.init.normal_(classifier.weight)
    return model.eval()


def test_the_student_learns_from_what_the_teacher_sees_in_the_second_view():
    batch = bag_batch(width=3, views=2)
    model = made()
    outputs = model.outputs(batch)
    candidates = batch.image_candidates
    teacher = model.follower_outputs(batch.images[1])
    q = sharpened(sum(candidate_softmax(z, candidates) for z in teacher.logits) / 2, candidates, 0.5)
    assert_close(outputs.taught, q)
    student = model.view_outputs(batch.images[0])
    terms = model.losses(batch, outputs)
    assert list(terms) == ["ce"]
    expected = sum(weighted_candidate_cross_entropy(z, candidates, q) for z in student.logits) / 2
    assert_close(terms["ce"], expected)
    assert torch.equal(model.pseudo_labels(batch, outputs).probs, outputs.taught)
    assert not outputs.taught.requires_grad


def test_one_view_will_do_for_a_diagnostic_pass():
    batch = bag_batch(width=3, views=1)
    model = made()
    outputs = model.outputs(batch)
    teacher = model.follower_outputs(batch.images[0])
    own = batch.image_candidates
    assert_close(outputs.taught, sharpened(sum(candidate_softmax(z, own) for z in teacher.logits) / 2, own, 0.5))


def test_the_threshold_rises_and_keeps_the_certain(monkeypatch):
    batch = bag_batch(width=3, views=2)
    model = made(threshold=0.9)
    outputs = model.outputs(batch)
    top = outputs.taught.amax(1)
    assert 0 < int((top > 0.45).sum()) < len(batch)
    for progress in (0.0, 0.5, 1.0):
        monkeypatch.setattr("wsreid.methods.meanteacher.run_progress", lambda _, at=progress: at)
        weights = outputs.taught * (top > 0.9 * progress)[:, None]
        own = batch.image_candidates
        expected = sum(weighted_candidate_cross_entropy(z, own, weights) for z in outputs.logits) / 2
        assert_close(model.losses(batch, outputs)["ce"], expected)
    assert (model.pseudo_labels(batch, outputs).ids >= 0).all()


def test_bags_without_candidates_and_with_one():
    batch = bag_batch(bags=4, per_bag=2, width=3, views=2)
    batch.candidates[2] = -1
    batch.candidates[1, 1:] = -1
    model = made()
    outputs = model.outputs(batch)
    assert torch.isfinite(model.losses(batch, outputs)["ce"])
    ids = model.pseudo_labels(batch, outputs).ids
    assert (ids[batch.bag == 2] == -1).all()
    assert (ids[batch.bag == 1] == batch.candidates[1, 0]).all()


@pytest.mark.parametrize("flip_test", [False, True])
def test_either_is_scored(flip_test):
    images = eval_batch().images
    teacher, student = (made(test_with=which, flip_test=flip_test) for which in ("teacher", "student"))
    with torch.no_grad():
        for p in teacher.follower.network.parameters():
            p.add_(0.1)
    own = teacher.follower.network
    expected = own(teacher.normalise(images)).features
    if flip_test:
        expected = expected + own(teacher.normalise(images.flip(-1))).features
    assert_close(teacher.embed(images), expected.float())
    assert not torch.allclose(teacher.embed(images), student.embed(images))


def test_resume_gives_the_same(tmp_path):
    batches = [bag_batch(seed, width=3, views=2) for seed in range(2)]

    def trained(root, ckpt=None):
        torch.manual_seed(0)
        model = MeanTeacher(num_ids=NUM_IDS, decay=0.8, lr=0.01)
        saver = pl.callbacks.ModelCheckpoint(root, filename="{epoch}", save_top_k=-1)
        trainer = make_trainer(root, max_epochs=3, enable_checkpointing=True, callbacks=[saver])
        trainer.fit(model, datamodule=Served(batches), ckpt_path=ckpt, weights_only=True)
        return model.state_dict()

    whole = trained(tmp_path / "a")
    resumed = trained(tmp_path / "b", tmp_path / "a" / "epoch=1.ckpt")
    assert any(name.startswith("follower") for name in whole)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.parametrize("wrong", [{"decay": 1.0}, {"threshold": 1.0}, {"temperature": 0.0}])
def test_refuses_what_cannot_be(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        MeanTeacher(num_ids=NUM_IDS, **wrong)
