import math

import numpy as np
import pytest

from wsreid.errors import ConfigError, WsreidError
from wsreid.retrieval.group import Alone, Ranks, together

from . import jobs
from .pool import Failed

TYPES = ("float16", "float32", "float64", "int64", "int32", "uint8", "bool")


@pytest.mark.parametrize("size", [2, 3])
def test_gather_gives_each_the_arrays_of_all_in_order_of_rank(pool, size):
    for dtype in TYPES:
        for chunk in (16, 2**24):
            for gathered in pool.run(size, jobs.gather, dtype, chunk):
                assert len(gathered) == size
                for rank, array in enumerate(gathered):
                    expected = jobs.ragged(rank, dtype)  # rank 0's is empty
                    assert array.dtype == expected.dtype
                    assert array.shape == expected.shape
                    assert np.array_equal(array, expected)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("chunk", [16, 2**24])
def test_sum_adds_by_rank_and_is_the_same_bit_for_bit(pool, size, chunk):
    expected = jobs.addends(0)
    for rank in range(1, size):
        expected = {name: array + jobs.addends(rank)[name] for name, array in expected.items()}
    for found in pool.run(size, jobs.add_up, chunk):
        for name, array in expected.items():
            assert found[name].dtype == array.dtype
            assert found[name].shape == array.shape
            assert found[name].tobytes() == array.tobytes()


def test_max_is_the_greatest_and_hides_no_nan(pool):
    assert pool.run(3, jobs.greatest, [-2.0, 5.5, 1.0]) == [5.5] * 3
    assert pool.run(2, jobs.greatest, [-2.0, -math.inf]) == [-2.0] * 2
    assert all(math.isnan(found) for found in pool.run(3, jobs.greatest, [1.0, math.nan, 2.0]))


def test_none_goes_on_if_one_fails_and_the_error_keeps_its_class(pool):
    assert pool.run(3, jobs.fail, (), "features") == ["went on"] * 3
    found = pool.run(3, jobs.fail, (1, 2), "features")
    assert {(f.kind, f.attributes["side"], f.attributes["indices"]) for f in found} == {
        ("NonFiniteFeaturesError", "gallery", (1, 9))
    }
    assert len({f.text for f in found}) == 1
    assert [(f.kind, f.text) for f in pool.run(2, jobs.fail, (0,), "config")] == [("ConfigError", "option 0")] * 2


def test_an_error_that_is_not_ours_is_named_on_the_others(pool):
    found = pool.run(3, jobs.fail, (2,), "other")
    assert [f.kind for f in found] == ["RuntimeError", "RuntimeError", "KeyError"]
    assert found[0].text == "process 2 failed: KeyError: 'key 2'"


def test_an_error_that_cannot_travel_whole_is_still_ours(pool):
    found = pool.run(2, jobs.fail, (1,), "untold")
    assert [(f.kind, f.text) for f in found] == [
        ("WsreidError", "cannot travel whole"),
        ("UntoldError", "cannot travel whole"),
    ]


@pytest.mark.parametrize("what", ["type", "shape", "length"])
def test_arrays_of_two_kinds_are_refused_on_all(pool, what):
    found = pool.run(2, jobs.mismatched, what)
    assert all(isinstance(f, Failed) and f.kind == "FeatureError" for f in found)
    assert "process 1: float" in found[0].text


def test_a_group_of_one():
    array = np.arange(3)
    group = Alone()
    assert (group.rank, group.size) == (0, 1)
    assert group.gather(array) == [array]
    assert group.sum(array) is array
    assert group.max(2.5) == 2.5
    group.agree(None)
    with pytest.raises(WsreidError, match="told"), together(group):
        raise WsreidError("told")


def test_ranks_need_a_running_group():
    with pytest.raises(ConfigError, match="init_process_group"):
        Ranks()
