"""What methods remember and what is said of them is the same on each of several processes, and that of one."""

import numpy as np
import pytest
import torch

from tests.retrieval.pool import SIZE, Failed
from tests.teachers import teacher_options
from wsreid import methods
from wsreid.methods import FolderCE, Method
from wsreid.methods.diagnostics import ALL
from wsreid.methods.diagnostics_file import read_diagnostics

from . import jobs


def ran(pool, job, *arguments):
    found = pool.run(SIZE, job, *arguments)
    assert not any(isinstance(one, Failed) for one in found), found
    return found


def test_each_process_has_the_entries_of_all(pool):
    members = 14
    found = ran(pool, jobs.sync_table, members)
    expected = torch.zeros(members + 4, 1 + SIZE)
    for rank in range(SIZE):
        member, values = jobs.written(rank, SIZE, members)
        assert found[rank][0] == member.tolist()  # before the sync each has its own alone
        expected[member, : values.shape[1]] = values
    expected[[0, members + 3]] = 0
    expected[[0, members + 3], :2] = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    for _, state in found:
        assert state["member"].tolist() == [*range(members), members + 3]
        assert torch.allclose(state["values"].float(), expected[state["member"]], atol=1e-3)
        assert torch.equal(state["values"], found[0][1]["values"])
        assert not state["touched"].any()


@pytest.mark.parametrize("n", [2, 13, 24])
def test_a_pass_over_the_set_gives_each_process_all_rows_once_in_order(pool, tmp_path, n):
    """Also where there are fewer images than processes."""
    rows = np.random.default_rng(n).permutation(100)[:n].astype(np.int64)
    rows.sort()
    ((row, features),) = jobs.pass_over_rows(rows, tmp_path)
    assert row.tolist() == rows.tolist()
    assert torch.allclose(features.float().norm(dim=1), torch.ones(n), atol=1e-2)
    for ((own_row, own),) in ran(pool, jobs.pass_over_rows_together, rows, tmp_path):
        assert torch.equal(own_row, row)
        assert own.dtype == torch.float16
        assert torch.allclose(own.float(), features.float(), atol=2e-3)  # batches of other sizes round differently


@pytest.mark.parametrize("max_members", [1000, 30])
def test_the_figures_are_those_of_one_process(pool, tmp_path, max_members):
    """Also where bags are left out, which no process can know before it meets the others."""
    batches = [[rank, rank + SIZE] for rank in range(SIZE)]
    together = ran(pool, jobs.diagnose_together, batches, tmp_path / "ddp", max_members)
    expected, kept, logged = jobs.diagnose_labels(range(2 * SIZE), tmp_path / "one", max_members)
    assert expected[ALL].flip_rate not in (0, 1)
    assert (expected[ALL].n_images <= 30) == (max_members == 30)
    for result, state, own_logged in together:
        assert result == expected
        assert own_logged == pytest.approx(logged)
        assert torch.equal(state["member"], kept["member"])
        assert torch.equal(state["label"], kept["label"])
        assert (state["halvings"], state["bins"]) == (kept["halvings"], kept["bins"])
    assert read_diagnostics(tmp_path / "ddp" / "diagnostics.csv") == read_diagnostics(
        tmp_path / "one" / "diagnostics.csv"
    )


OPTIONS = {
    "ClusterContrast": {"k1": 4, "k2": 2, "min_samples": 2, "eps": 0.9},
    "PiCO": {"queue": 48, "projection_dim": 4},
    "DGL": {"warm_start": 0.0, "sure_enough": 0.0},
}
ALIKE = [
    name
    for name in methods.__all__
    if isinstance(kind := getattr(methods, name), type)
    and issubclass(kind, Method)
    and kind.trains
    and kind not in (Method, FolderCE)
]


def buffers_of_one(name):
    """Running means are each process's own, as in any DDP run without SyncBatchNorm; the first process's are saved."""
    return "running_" in name or "num_batches" in name


@pytest.mark.parametrize("name", ALIKE)
def test_each_method_trains_alike_on_several_processes(pool, tmp_path, name):
    batches = [[rank, rank + SIZE] for rank in range(SIZE)]
    options = teacher_options(getattr(methods, name), tmp_path) | OPTIONS.get(name, {})
    found = ran(pool, jobs.trained_together, name, options, batches, tmp_path)
    before = jobs.trained(name, options, [], tmp_path / "none")[0]
    state, tables, memory, steps = found[0]
    assert steps == 4
    moved = [key for key, value in state.items() if not torch.equal(value, before[key]) and not buffers_of_one(key)]
    assert moved, "nothing was learned"
    for other, other_tables, other_memory, other_steps in found[1:]:
        assert other_steps == steps
        unlike = [k for k, v in state.items() if not buffers_of_one(k) and not torch.equal(v, other[k])]
        assert unlike == []
        assert torch.equal(memory, other_memory)
        for key, table in tables.items():
            assert torch.equal(table["member"], other_tables[key]["member"])
            assert torch.equal(table["values"], other_tables[key]["values"])
