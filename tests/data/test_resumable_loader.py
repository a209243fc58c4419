from itertools import islice

import pytest
import torch
from torch.utils.data import Dataset

from wsreid.data.resumable_loader import ResumableLoader
from wsreid.errors import ConfigError

BATCHES = 6


class Plans:
    """Plans numbers that name their epoch and batch, and counts what it planned."""

    def __init__(self):
        self.epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return BATCHES

    def __iter__(self):
        yield from (self.epoch * 100 + i for i in range(BATCHES))


class Numbers(Dataset):
    """Gives the plan as batch, and notes each that it was asked for."""

    def __init__(self):
        self.read = []

    def __getitem__(self, plan):
        self.read.append(plan)
        return torch.tensor(plan)


def loader(**options):
    return ResumableLoader(Numbers(), Plans(), **options)


def take(batches, count=None):
    return [int(b) for b in islice(batches, count)]


def test_an_epoch_and_the_next():
    one = loader()
    assert take(one) == list(range(BATCHES))
    one.sampler.set_epoch(1)
    assert take(one) == list(range(100, 100 + BATCHES))
    assert one.state_dict() == {"epoch": 1, "batches": BATCHES, "of": BATCHES, "drawn_with": {}}


@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 0), (0, 2)])
@pytest.mark.parametrize("seen", [0, 1, 4, BATCHES])
def test_goes_on_behind_what_was_handed_out(before, after, seen):
    first, second = loader(workers=before), loader(workers=after)
    first.sampler.set_epoch(3)
    batches = iter(first)
    old = take(batches, seen)
    state = first.state_dict()
    if seen:
        assert (state["epoch"], state["batches"]) == (3, seen)  # workers are ahead of that
    second.load_state_dict(state)
    second.sampler.set_epoch(3)  # as Lightning does
    assert len(second) == BATCHES  # Lightning counts from the epoch's start
    assert old + take(second) == list(range(300, 300 + BATCHES))
    if not after:
        assert len(second.dataset.read) == BATCHES - seen  # no image of the passed batches is read
    second.sampler.set_epoch(4)
    assert take(second) == list(range(400, 400 + BATCHES))


def test_resumes_twice_in_an_epoch():
    first, second, third = loader(), loader(), loader()
    seen = take(iter(first), 2)
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict()  # before the first batch too
    seen += take(iter(second), 1)
    third.load_state_dict(second.state_dict())
    assert seen + take(third) == list(range(BATCHES))


def test_another_epoch_begins_at_its_start():
    first, second = loader(), loader()
    take(iter(first), 2)
    second.load_state_dict(first.state_dict())
    second.sampler.set_epoch(1)
    assert take(second) == list(range(100, 100 + BATCHES))
    second.sampler.set_epoch(0)
    assert take(second) == list(range(BATCHES))


@pytest.mark.parametrize("workers", [0, 1])
def test_the_epoch_may_be_set_after_the_iterator_is_made(workers):
    one = loader(workers=workers)
    batches = iter(one)
    one.sampler.set_epoch(7)
    assert take(batches) == list(range(700, 700 + BATCHES))


def test_a_step_that_did_not_finish_is_done_again():
    trained = 0
    first, second = loader(trained=lambda: trained), loader()
    batches = iter(first)
    take(batches, 3)
    trained = 2
    second.load_state_dict(first.state_dict())
    assert take(second) == list(range(2, BATCHES))


def test_refuses_to_go_on_with_other_plans():
    first, second = loader(drawn_with={"data.seed": 1, "x": 2}), loader(drawn_with={"data.seed": 3, "x": 2})
    batches = iter(first)
    take(batches, 2)
    with pytest.raises(ConfigError, match=r"middle of epoch 0.*: data\.seed was 1, is 3\. Resume"):
        second.load_state_dict(first.state_dict())
    take(batches)
    second.load_state_dict(first.state_dict())  # the epoch was finished


def test_a_state_can_be_loaded_as_weights_only(tmp_path):
    state = loader(drawn_with={"data.seed": 1, "hash": "ab"}).state_dict()
    torch.save(state, tmp_path / "state")
    assert torch.load(tmp_path / "state", weights_only=True) == state
