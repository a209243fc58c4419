"""Batches of one camera each."""

import numpy as np

from wsreid.data.samplers import CameraSampler

ROWS = np.arange(40, 61)
CAMERAS = np.array([0] * 11 + [3] * 8 + [-1] * 2)


def test_each_row_of_a_known_camera_is_in_one_batch_of_its_camera():
    batches = list(CameraSampler(ROWS, CAMERAS, 5))
    assert sorted(np.concatenate(batches)) == list(range(40, 59))
    assert [len(batch) for batch in batches] == [4, 4, 3, 4, 4]  # none of one image
    assert [set(CAMERAS[batch - 40]) for batch in batches] == [{0}] * 3 + [{3}] * 2


def test_the_plan_goes_by_the_seed_and_neither_by_the_order_nor_by_the_processes():
    def plan(order, **options):
        return [batch.tolist() for batch in CameraSampler(ROWS[order], CAMERAS[order], 5, **options)]

    straight, reverse = np.arange(21), np.arange(21)[::-1]
    assert plan(straight) == plan(reverse)
    assert plan(straight, seed=1) != plan(straight)
    first, second = (plan(straight, rank=rank, world_size=2) for rank in range(2))
    assert len(first) == 3
    assert sorted(first + second) == sorted(plan(straight))


def test_a_limit_draws_from_each_camera():
    batches = list(CameraSampler(ROWS, CAMERAS, 5, limit=6))
    assert [len(batch) for batch in batches] == [3, 3, 3, 3]
    assert len(np.unique(np.concatenate(batches))) == 12
