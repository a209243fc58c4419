"""Which checkpoint a fit goes on from."""

import shlex

import pytest
import torch

from wsreid.cli.run_setup import choose_run, read_checkpoint
from wsreid.errors import ConfigError
from wsreid.tracking.checkpoint_file import CheckpointFiles

CONTENT = {
    "hyper_parameters": {"num_ids": 3, "_class_path": "wsreid.methods.BagCE"},
    "state_dict": {"a": torch.ones(99)},
}


def chosen(command, run):
    return choose_run(command, {"trainer": {}, "run": str(run), "ckpt_path": "last"})[1]


@pytest.fixture
def run(tmp_path):
    for _ in range(2):
        CheckpointFiles().save_checkpoint(CONTENT, tmp_path / "checkpoints" / "last.ckpt")
    return tmp_path


def test_a_fit_goes_on_from_the_last_whole_checkpoint(run, caplog):
    last = run / "checkpoints" / "last.ckpt"
    assert chosen("fit", run) == last
    last.write_bytes(last.read_bytes()[:-100])
    assert chosen("fit", run) == run / "checkpoints" / "last.previous.ckpt"
    assert str(last) in caplog.text


def test_scoring_names_the_one_before_and_does_not_take_it_by_itself(run):
    last = run / "checkpoints" / "last.ckpt"
    last.write_bytes(b"")
    assert chosen("test", run) == last
    with pytest.raises(ConfigError, match=r"last\.ckpt is damaged.*--ckpt_path .*last\.previous\.ckpt"):
        read_checkpoint(last, {"class_path": "wsreid.methods.BagCE"})
    spaced = run.rename(run.with_name("it's a run")) / "checkpoints"
    with pytest.raises(ConfigError) as error:
        read_checkpoint(spaced / "last.ckpt", {"class_path": "wsreid.methods.BagCE"})
    assert shlex.split(str(error.value).split("--ckpt_path ")[1]) == [str(spaced / "last.previous.ckpt")]


def test_a_flipped_byte_is_found(run):
    last = run / "checkpoints" / "last.ckpt"
    data = bytearray(last.read_bytes())
    data[bytes(data).index(torch.ones(9).numpy().tobytes())] ^= 1
    last.write_bytes(bytes(data))
    with pytest.raises(ConfigError, match=r"checksum|does not load"):
        read_checkpoint(last, {"class_path": "wsreid.methods.BagCE"})


def test_a_fit_that_was_killed_before_its_first_checkpoint_begins_anew(tmp_path, caplog):
    with pytest.raises(ConfigError, match="there is no"):
        chosen("fit", tmp_path)
    (tmp_path / "config.yaml").touch()
    assert chosen("fit", tmp_path) is None
    assert "begins anew" in caplog.text
    with pytest.raises(ConfigError, match="there is no"):
        chosen("test", tmp_path)
