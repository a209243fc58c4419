"""The table of distributions by member: uniform until written, kept in checkpoints, the same after any split."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from wsreid.methods.member_table import MemberTable

CANDIDATES = torch.tensor([[3, 5, 9], [4, 8, -1], [7, -1, -1], [-1, -1, -1]])


def test_a_member_never_written_is_uniform_over_its_candidates():
    found = MemberTable().take(torch.tensor([0, 5, -1, 2]), CANDIDATES)
    assert torch.allclose(found, torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0], [1, 0, 0], [0, 0, 0]]))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=12, unique=True), st.integers(0, 9))
def test_what_is_written_is_read_back(members, seed):
    table, member = MemberTable(), torch.tensor(members)
    candidates = torch.arange(len(members) * 4).view(-1, 4)
    values = torch.rand(len(members), 4, generator=torch.Generator().manual_seed(seed)).softmax(1)
    table.put(member, values)
    order = torch.randperm(len(members), generator=torch.Generator().manual_seed(seed))
    assert torch.allclose(table.take(member[order], candidates[order]), values[order], atol=1e-3)


def test_narrow_batches_read_wide_rows_and_the_other_way_round():
    table = MemberTable()
    table.put(torch.tensor([1]), torch.tensor([[0.25, 0.75]]))
    table.put(torch.tensor([2]), torch.tensor([[0.2, 0.3, 0.5]]))
    wide = table.take(torch.tensor([1, 2]), torch.tensor([[3, 4, -1], [5, 6, 7]]))
    assert torch.allclose(wide, torch.tensor([[0.25, 0.75, 0], [0.2, 0.3, 0.5]]), atol=1e-3)
    assert torch.allclose(
        table.take(torch.tensor([1]), torch.tensor([[3, 4]])), torch.tensor([[0.25, 0.75]]), atol=1e-3
    )


def test_no_member_is_passed_over():
    table = MemberTable()
    table.put(torch.tensor([-1, -1]), torch.ones(2, 2))
    assert len(table) == 0
    table.put(torch.tensor([-1, 0]), torch.tensor([[0.0, 1.0], [0.5, 0.5]]))
    assert table.state_dict()["member"].tolist() == [0]


def test_a_checkpoint_holds_the_written_members_alone_and_loads_with_weights_only(tmp_path):
    table = MemberTable()
    table.put(torch.tensor([70, 3]), torch.tensor([[0.25, 0.75], [1.0, 0.0]]))
    torch.save(table.state_dict(), tmp_path / "table.pt")
    state = torch.load(tmp_path / "table.pt", weights_only=True)
    assert state["member"].tolist() == [3, 70]
    again = MemberTable()
    again.put(torch.tensor([5]), torch.tensor([[1.0, 0.0]]))
    again.load_state_dict(state)
    member, candidates = torch.tensor([3, 70, 5]), torch.tensor([[1, 2]] * 3)
    assert torch.equal(again.take(member, candidates)[:2], table.take(member, candidates)[:2])
    assert again.take(member, candidates)[2].tolist() == [0.5, 0.5]


def test_without_processes_sync_changes_nothing():
    table = MemberTable()
    table.put(torch.tensor([4]), torch.tensor([[0.25, 0.75]]))
    assert table.state_dict()["touched"].tolist() == [True]
    table.sync()
    assert table.state_dict()["touched"].tolist() == [False]
    assert table.take(torch.tensor([4]), torch.tensor([[1, 2]]))[0].tolist() == [0.25, 0.75]
