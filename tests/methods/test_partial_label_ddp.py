"""Tables, queues and prototypes are the same on each of several processes."""

import pytest
import torch

from tests.retrieval.pool import SIZE, Failed
from wsreid.methods import LWS, PRODEN, RC, PiCO

from . import partial_label


def ran(pool, job, *arguments):
    found = pool.run(SIZE, job, *arguments)
    assert not any(isinstance(one, Failed) for one in found), found
    return found


def test_rows_are_gathered_in_the_order_of_the_ranks(pool):
    for found, found_labels, rows, labels in ran(pool, partial_label.gather_uneven):
        assert torch.equal(found, rows)
        assert torch.equal(found_labels, labels)


@pytest.mark.parametrize(
    ("method", "options"),
    [(PRODEN, {}), (RC, {}), (LWS, {}), (PiCO, {"queue": 100, "projection_dim": 5})],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_processes_end_alike(pool, tmp_path, method, options):
    states = ran(pool, partial_label.train_together, method, tmp_path, options)
    first, table = states[0]
    assert table["member"].tolist() == list(range(32 * SIZE))
    for other, other_table in states[1:]:
        for name, value in first.items():
            if "running" not in name:  # statistics of a process's own batches; the first one's are saved
                assert torch.equal(value, other[name]), name
        assert torch.equal(table["values"], other_table["values"])
    if method is PiCO:
        assert (first["queue_label"] >= 0).all()  # 32 keys a process, more than once round
