"""What is remembered by member or by bag holds for the bags it came from alone."""

import pytest
import torch

from wsreid.errors import ConfigError
from wsreid.methods import CC, DGL, PRODEN, Sinkhorn

from .conftest import NUM_IDS, Served, bag_batch, make_trainer

pytestmark = pytest.mark.usefixtures("tiny_network")


def trained(method, folder, bags, epochs=1, ckpt_path=None):
    data = Served([bag_batch(0), bag_batch(1)])
    data.hashes = {"bags": bags}
    model, trainer = method(num_ids=NUM_IDS), make_trainer(folder, max_epochs=epochs)
    trainer.fit(model, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    trainer.save_checkpoint(folder / "a.ckpt")
    return model


@pytest.mark.parametrize("method", [PRODEN, DGL, Sinkhorn])
def test_a_run_that_remembers_does_not_go_on_with_other_bags(method, tmp_path):
    trained(method, tmp_path, "one")
    with pytest.raises(ConfigError, match=r"hash one\) are not these \(other\).*--model\.weights"):
        trained(method, tmp_path, "other", 2, tmp_path / "a.ckpt")
    trained(method, tmp_path, "one", 2, tmp_path / "a.ckpt")


def test_a_run_that_remembers_nothing_does(tmp_path):
    trained(CC, tmp_path, "one")
    trained(CC, tmp_path, "other", 2, tmp_path / "a.ckpt")


@pytest.mark.parametrize(("method", "name"), [(PRODEN, "member_table"), (Sinkhorn, "masses")])
def test_other_bags_are_labelled_as_if_met_for_the_first_time(method, name, tmp_path, caplog):
    trained(method, tmp_path, "one")
    model = method(num_ids=NUM_IDS)
    model.on_load_checkpoint(torch.load(tmp_path / "a.ckpt", weights_only=True))
    model.forget_other_bags("one")
    assert len(model.tables()[name]) > 0
    assert "other bags" not in caplog.text
    model.forget_other_bags("other")
    model.forget_other_bags("other")
    assert len(model.tables()[name]) == 0
    assert caplog.text.count("other bags (hash one, these are other)") == 1


def test_a_validation_brings_the_processes_tables_together(monkeypatch, tmp_path):
    model, synced = PRODEN(num_ids=NUM_IDS), []
    monkeypatch.setattr(model.table, "sync", lambda: synced.append(1))
    model.on_validation_start()
    assert synced == [1]
