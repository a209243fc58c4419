import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.samplers import EvalSampler


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 5))
def test_all_rows_and_equal_steps(count, batch_size, world_size):
    rows = np.arange(count) + 7
    samplers = [EvalSampler(rows, batch_size, rank, world_size) for rank in range(world_size)]
    seen = [np.concatenate(list(s)) for s in samplers]
    assert set(np.concatenate(seen).tolist()) == set(rows.tolist())
    assert len({len(s) for s in samplers}) == len({len(x) for x in seen}) == 1
    for s, x in zip(samplers, seen, strict=True):
        assert (np.diff(x) == 1).all()
        assert all(1 <= len(batch) <= batch_size for batch in s)
        assert len(list(s)) == len(s)
    if world_size == 1:
        assert seen[0].tolist() == rows.tolist()
