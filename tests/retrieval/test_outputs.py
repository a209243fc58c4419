import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.errors import ConfigError
from wsreid.retrieval.outputs import SIDES, StepOutputs, share

from . import jobs


def batch(rows, dtype=torch.float32):
    ids = torch.tensor(rows)
    return {"features": ids[:, None].to(dtype).repeat(1, 3), "pid": ids % 4, "camera": ids % 2, "row": ids}


def both(query, gallery):
    return dict(zip(SIDES, (jobs.collect(query), jobs.collect(gallery)), strict=True))


def test_one_process_keeps_all_in_float32_and_in_order():
    collected = StepOutputs()
    collected.add(batch([3, 1], torch.bfloat16), "test_step")
    collected.add(batch([2]), "test_step")
    assert (collected.images, collected.width) == (3, 3)
    sides = share({"query": collected, "gallery": jobs.collect([[5, 5], [4]])})
    assert sides.query.features.dtype == np.float32
    assert sides.query.row.tolist() == [3, 1, 2]
    assert sides.query.features[:, 0].tolist() == [3, 1, 2]
    assert sides.gallery.row.tolist() == [5, 5, 4]
    assert sides.images == {"query": 3, "gallery": 3}
    assert collected.images == 0


def test_nothing_collected_is_two_empty_sides():
    sides = share(both([], []))
    assert sides.images == {"query": 0, "gallery": 0}
    assert sides.query.features.shape == (0, 0)


def test_what_a_step_returned_may_be_overwritten():
    collected, outputs = StepOutputs(), batch([3, 1])
    collected.add(outputs, "test_step")
    for value in outputs.values():
        value.zero_()
    assert collected.rows().tolist() == [3, 1]
    assert collected.take(np.arange(2)).features[:, 0].tolist() == [3, 1]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 99), max_size=4), max_size=5), st.randoms(use_true_random=False))
def test_taken_images_are_those_asked_for(batches, random):
    flat = [row for rows in batches for row in rows]
    index = list(range(len(flat)))
    random.shuffle(index)
    index = index[: random.randint(0, len(index))]
    taken = jobs.collect(batches).take(np.array(index, dtype=np.int64), 3)
    assert taken.row.tolist() == [flat[i] for i in index]
    assert taken.features.tolist() == [[flat[i]] * 3 for i in index]
    assert taken.camera.tolist() == [flat[i] % 2 for i in index]


CASES = {
    "a sampler that repeats images": (
        {"query": [[[0, 2]], [[1], [0]], [[2]]], "gallery": [[[10, 13]], [[11, 10]], [[12, 11]]]},
        [0, 1, 2],
        [[10, 13], [11], [12]],
    ),
    "a process without an image": (
        {"query": [[], [[1, 0]], []], "gallery": [[[15, 14]], [[10]], []]},
        [0, 1],
        [[14, 15], [10], []],
    ),
    "a repeat within one process": (
        {"query": [[[3, 3]], [[3]], [[1]]], "gallery": [[[7], [7, 5]], [[5, 7]], [[5]]]},
        [1, 3],
        [[5, 7], [], []],
    ),
    "rows that are unknown": (
        {"query": [[[-1, 4]], [[-1]], [[4]]], "gallery": [[[-1, 8]], [[8, -1, -1]], [[9]]]},
        [-1, -1, 4],
        [[-1, 8], [-1, -1], [9]],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_queries_are_gathered_and_the_gallery_stays(pool, case):
    batches, query, gallery = CASES[case]
    counts = {"query": len(query), "gallery": sum(map(len, gallery))}
    assert pool.run(3, jobs.share_rows, batches) == [(query, part, counts) for part in gallery]


def test_processes_of_different_dimension_are_refused_on_all(pool):
    found = pool.run(2, jobs.share_widths, [3, 4])
    assert [f.kind for f in found] == ["FeatureError"] * 2
    assert "(1, 4)" in found[0].text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "returned NoneType"),
        ({k: v for k, v in batch([1]).items() if k != "row"}, "row is missing"),
        ({**batch([1]), "pid": [1]}, "pid is list"),
        ({**batch([1, 2]), "camera": torch.tensor([1])}, "shapes are"),
        ({**batch([1]), "features": torch.ones(1)}, "shapes are"),
    ],
)
def test_wrong_outputs_are_refused_in_words(wrong, message):
    with pytest.raises(ConfigError, match=rf"validation_step must return.*{message}"):
        StepOutputs().add(wrong, "validation_step")


def test_a_dimension_that_changes_is_refused():
    collected = jobs.collect([[1]])
    with pytest.raises(ConfigError, match="test_step returned features of 2 dimensions after some of 3"):
        collected.add({**batch([1]), "features": torch.ones(1, 2)}, "test_step")
