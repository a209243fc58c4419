from types import SimpleNamespace

import torch

from wsreid.methods.epoch_means import EpochMeans

ALONE = SimpleNamespace(world_size=1)


def test_weighted_means_that_go_on_from_a_checkpoint(tmp_path):
    whole, first, second = EpochMeans(), EpochMeans(), EpochMeans()
    values = [(torch.tensor(0.1), 3), (torch.tensor(0.7, requires_grad=True), 5), (torch.tensor(0.3), 2)]
    for value, weight in values:
        whole.add({"a": value}, weight)
    first.add({"a": values[0][0]}, 3)
    torch.save(first.state_dict(), tmp_path / "state")
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    for value, weight in values[1:]:
        second.add({"a": value}, weight)
    expected = whole.taken(ALONE)["a"]
    assert torch.equal(second.taken(ALONE)["a"], expected)
    assert not expected.requires_grad
    assert abs(float(expected) - (0.3 + 3.5 + 0.6) / 10) < 1e-6
    assert whole.taken(ALONE) == {}


def test_a_checkpoint_does_not_change_with_what_follows():
    means = EpochMeans()
    means.add({"a": torch.tensor(1.0)}, 1)
    state = means.state_dict()
    means.add({"a": torch.tensor(5.0)}, 1)
    assert state == {"sums": {"a": torch.tensor(1.0)}, "weights": {"a": 1}}
