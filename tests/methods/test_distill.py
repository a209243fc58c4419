"""Distillation: the teacher stays as it is and outside of checkpoints, and no label counts."""

from dataclasses import replace

import lightning.pytorch as pl
import pytest
import torch
from torch.testing import assert_close

from tests.teachers import SIZE, write_teacher
from wsreid.cli.main import main
from wsreid.cli.save_config import _start_hash
from wsreid.errors import ConfigError, WeightsError
from wsreid.file_hash import file_hash
from wsreid.losses import similarity_distribution_loss, similarity_preserving_loss
from wsreid.methods import Distill
from wsreid.models.trained import read_trained

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

tiny = pytest.mark.usefixtures("tiny_network")


@pytest.fixture
def teacher(tmp_path):
    return write_teacher(tmp_path / "teacher.ckpt")


def made(teacher, **options):
    torch.manual_seed(0)
    return Distill(num_ids=NUM_IDS, lr=0.01, teacher=str(teacher), teacher_size=SIZE, **options)


def trained(teacher, root, batches, epochs=2, ckpt=None, **options):
    model = made(teacher, **options)
    saver = pl.callbacks.ModelCheckpoint(root, filename="{epoch}", save_top_k=-1)
    trainer = make_trainer(root, max_epochs=epochs, enable_checkpointing=True, callbacks=[saver])
    trainer.fit(model, datamodule=Served(batches), ckpt_path=ckpt, weights_only=True)
    return model


@tiny
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, similarity_preserving_loss),
        ({"loss": "distribution"}, lambda f, t: similarity_distribution_loss(f, t, 0.1)),
        ({"loss": "distribution", "temperature": 0.5}, lambda f, t: similarity_distribution_loss(f, t, 0.5)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",  # a function has an address in its name
)
def test_the_term_is_the_loss_between_the_features(options, expected, teacher):
    model = made(teacher, **options)
    known = read_trained(str(teacher), size=SIZE)
    model.teach(known)
    batch = bag_batch()
    outputs = model.outputs(batch)
    (term,) = model.losses(batch, outputs).values()
    assert_close(term, expected(outputs.network.features, known.embed(batch.images[0])))


@tiny
@pytest.mark.parametrize("loss", ["distribution", "similarity"])
def test_steps_lower_the_loss(loss, teacher):
    model, batch = made(teacher, loss=loss), bag_batch()
    model.teach(read_trained(str(teacher), size=SIZE))
    optimizer = model.configure_optimizers()
    values = []
    for _ in range(8):
        optimizer.zero_grad()
        value = sum(model.losses(batch, model.outputs(batch)).values())
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[1] < values[0]


@tiny
def test_the_teacher_stays_as_it_is_and_is_in_no_checkpoint(teacher, tmp_path):
    before = {key: value.clone() for key, value in read_trained(str(teacher)).network.state_dict().items()}
    model = trained(teacher, tmp_path / "run", [bag_batch(seed) for seed in range(2)])
    after = model._taught_by.network
    assert not after.training
    assert all(torch.equal(value, before[key]) for key, value in after.state_dict().items())
    theirs = {id(parameter) for parameter in after.parameters()}
    assert not theirs & {id(parameter) for parameter in model.parameters()}
    groups = model.configure_optimizers().param_groups
    assert not theirs & {id(parameter) for group in groups for parameter in group["params"]}
    saved = torch.load(tmp_path / "run" / "epoch=1.ckpt", weights_only=True)
    assert set(saved["state_dict"]) == set(made(teacher).state_dict())
    assert saved["teacher"] == {"path": str(teacher), "sha256": model._taught_by.sha256}


@tiny
def test_a_resumed_run_is_taught_by_the_same_file_wherever_it_lies(teacher, tmp_path):
    batches = [bag_batch(seed) for seed in range(2)]
    whole = trained(teacher, tmp_path / "a", batches, epochs=3)
    moved = teacher.rename(tmp_path / "moved.ckpt")
    resumed = trained(moved, tmp_path / "b", batches, epochs=3, ckpt=tmp_path / "a" / "epoch=1.ckpt")
    assert all(torch.equal(value, resumed.state_dict()[key]) for key, value in whole.state_dict().items())
    first = trained(moved, tmp_path / "c", batches, epochs=2)
    assert any(not torch.equal(value, first.state_dict()[key]) for key, value in whole.state_dict().items())
    write_teacher(moved, seed=1)
    with pytest.raises(ConfigError, match="is not the file that the run began with") as error:
        trained(moved, tmp_path / "d", batches, epochs=3, ckpt=tmp_path / "a" / "epoch=1.ckpt")
    assert "\n" not in str(error.value)


@tiny
def test_a_checkpoint_is_scored_without_the_teacher(teacher, tmp_path):
    model = trained(teacher, tmp_path / "run", [bag_batch()], epochs=1).eval()
    teacher.unlink()
    loaded = Distill.load_from_checkpoint(tmp_path / "run" / "epoch=0.ckpt", weights_only=True).eval()
    images = bag_batch(1).images[0]
    with torch.no_grad():
        assert torch.equal(loaded.embed(images), model.embed(images))
    labels = loaded.pseudo_labels(bag_batch(), loaded.outputs(bag_batch()))
    assert (labels.ids == -1).all()
    assert_close(labels.probs, torch.full((16, 2), 0.5))


@tiny
def test_the_candidates_change_nothing(teacher, tmp_path):
    batches = [bag_batch(seed, width=3) for seed in range(2)]
    others = [replace(batch, candidates=(batch.candidates + 5) % NUM_IDS) for batch in batches]
    first, second = (trained(teacher, tmp_path / str(i), some).state_dict() for i, some in enumerate((batches, others)))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert made(teacher).learns_from == "no labels"


def test_a_fits_record_has_the_hash_of_the_teacher(teacher):
    config = {"model": {"init_args": {"weights": None, "teacher": str(teacher)}}}
    assert _start_hash(config, "fit") == {"teacher": file_hash(teacher)}
    assert _start_hash(config, "test") == {}  # which does without the file


@pytest.mark.parametrize(
    ("args", "error", "told"),
    [
        ([], ConfigError, "name its file by --model.teacher FILE"),
        (["--model.teacher", "gone.ckpt"], WeightsError, "--model.teacher: weights 'gone.ckpt' not found"),
    ],
)
def test_without_a_teacher_no_run_begins(args, error, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = ["--data.rendered.train_ids", "6", "--data.rendered.test_ids", "4", "--data.rendered.cameras", "2"]
    plain = ["--wandb.mode", "disabled", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    small = ["--data.height", "32", "--data.width", "16", "--data.num_workers", "0"]
    command = ["fit", "--model", "Distill", "--model.backbone", "osnet_x0_25", *args, *data, *small, *plain]
    with pytest.raises(error) as found:
        main([*command, "--run", str(tmp_path / "run")])
    assert told in str(found.value)
    assert "\n" not in str(found.value)
    assert not (tmp_path / "run").exists()


@tiny
@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"teacher_size": (0, 64)}])
def test_refuses_what_cannot_be(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Distill(num_ids=NUM_IDS, **wrong)
