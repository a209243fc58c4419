import logging
import os
import pickle
from collections import OrderedDict

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from wsreid.errors import WeightsError
from wsreid.models.weights import find_weights, load_weights, read_state_dict


def make_network():
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 1), bn=nn.BatchNorm2d(4)))


@pytest.fixture
def state():
    torch.manual_seed(1)
    return make_network().state_dict()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_WEIGHTS_DIR", str(tmp_path / "weights"))
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


def test_a_path_is_found_before_the_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (folder / "a.pth").write_bytes(b"folder")
    assert find_weights("a.pth").read_bytes() == b"folder"
    (tmp_path / "a.pth").write_bytes(b"path")
    assert find_weights("a.pth").read_bytes() == b"path"


def test_a_missing_file_names_both_places_and_the_variable(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError) as error:
        find_weights("a.pth")
    for part in (str(tmp_path / "a.pth"), str(folder / "a.pth"), "WSREID_WEIGHTS_DIR"):
        assert part in str(error.value)
    monkeypatch.delenv("WSREID_WEIGHTS_DIR")
    with pytest.raises(WeightsError, match="WSREID_WEIGHTS_DIR is not set"):
        find_weights("a.pth")


def test_a_folder_is_no_weights_file(folder, tmp_path):
    with pytest.raises(WeightsError, match="no file at"):
        find_weights(str(tmp_path))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3, "rank1": 0.5},
        lambda state: {"model": {"state_dict": {f"module.{key}": value for key, value in state.items()}}},
    ],
    ids=["bare", "wrapped", "parallel"],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_wrappers_and_the_parallel_prefix_come_off(state, tmp_path, wrap, zipped):
    torch.save(wrap(state), tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    read = read_state_dict(tmp_path / "w.pth")
    assert list(read) == list(state)
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_a_changed_weight_is_refused(state, tmp_path):
    torch.save(state, tmp_path / "w.pth")
    whole = bytearray((tmp_path / "w.pth").read_bytes())
    whole[whole.index(next(iter(state.values())).numpy().tobytes()) + 3] ^= 0x80
    (tmp_path / "w.pth").write_bytes(whole)
    with pytest.raises(WeightsError, match=r"w\.pth are damaged: the checksum of its part .* is wrong"):
        read_state_dict(tmp_path / "w.pth")


def test_loading_takes_every_value_and_says_what_it_drops(state, tmp_path, caplog):
    torch.save({**state, "classifier.weight": torch.zeros(7, 4)}, tmp_path / "w.pth")
    network = make_network()
    with caplog.at_level(logging.INFO):
        load_weights(network, str(tmp_path / "w.pth"))
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert "dropped the classifier" in caplog.text
    assert "classifier.weight (7, 4)" in caplog.text


def test_a_key_that_only_starts_like_a_classifier_is_unexpected(state, tmp_path):
    torch.save({**state, "classifier_2.weight": torch.zeros(7, 4)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"unexpected: classifier_2\.weight"):
        load_weights(make_network(), str(tmp_path / "w.pth"))


def test_a_classifier_that_the_network_has_is_loaded_not_dropped(tmp_path):
    torch.manual_seed(0)
    network, source = (nn.Sequential(OrderedDict(classifier=nn.Linear(2, 3))) for _ in range(2))
    torch.save(source.state_dict(), tmp_path / "w.pth")
    load_weights(network, str(tmp_path / "w.pth"))
    assert torch.equal(network.classifier.weight, source.classifier.weight)


def test_old_files_without_batch_counters_load(state, tmp_path):
    del state["bn.num_batches_tracked"]
    torch.save(state, tmp_path / "w.pth")
    network = make_network()
    load_weights(network, str(tmp_path / "w.pth"))
    assert torch.equal(network.bn.running_mean, state["bn.running_mean"])


def test_faults_are_named_and_leave_the_network_untouched(state, tmp_path):
    del state["bn.bias"]
    state["extra.weight"] = torch.zeros(1)
    state["conv.weight"] = torch.zeros(5, 3, 1, 1)
    torch.save(state, tmp_path / "w.pth")
    network = make_network()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(WeightsError) as error:
        load_weights(network, str(tmp_path / "w.pth"))
    message = str(error.value)
    assert "missing: bn.bias" in message
    assert "unexpected: extra.weight" in message
    assert "conv.weight is (5, 3, 1, 1) in the file and (4, 3, 1, 1) in the network" in message
    assert str(tmp_path / "w.pth") in message
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_fresh_parts_may_be_missing(state, tmp_path, caplog):
    del state["bn.bias"]
    torch.save(state, tmp_path / "w.pth")
    with caplog.at_level(logging.INFO):
        load_weights(make_network(), str(tmp_path / "w.pth"), fresh=("bn",))
    assert "left as initialised: bn.bias" in caplog.text


class Trap:
    """Runs a command if it is ever unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("plain_pickle", [True, False])
def test_a_file_that_could_run_code_is_refused_and_does_not_run(tmp_path, plain_pickle):
    file, marker = tmp_path / "w.pth", tmp_path / "ran"
    content = {"state_dict": {"conv.weight": torch.zeros(1)}, "trap": Trap(marker)}
    if plain_pickle:
        file.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, file)
    with pytest.raises(WeightsError) as error:
        read_state_dict(file)
    assert str(file) in str(error.value)
    assert not marker.exists()


def test_a_refused_file_is_told_from_a_damaged_one(tmp_path):
    torch.save({"state_dict": {}, "author": Trap(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"more than tensors.*mkdir"):
        read_state_dict(tmp_path / "w.pth")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True), zipped=st.booleans())
def test_a_truncated_file_is_refused(tmp_path, share, zipped):
    file = tmp_path / "w.pth"
    torch.save(make_network().state_dict(), file, _use_new_zipfile_serialization=zipped)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    # A file of the old format may end within the name of a class, and is then refused for that name.
    with pytest.raises(WeightsError, match=r"w\.pth .*damaged" if zipped else r"w\.pth .*(damaged|more than tensors)"):
        read_state_dict(file)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_any_other_file_is_refused(tmp_path, content):
    file = tmp_path / "w.pth"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.pth"):
        read_state_dict(file)


@pytest.mark.parametrize("content", [torch.zeros(3), [torch.zeros(3)], {}, {"epoch": 3}, {1: torch.zeros(3)}])
def test_a_checkpoint_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="no state dict"):
        read_state_dict(tmp_path / "w.pth")
