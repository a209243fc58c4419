import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.rendered.brush import Brush, enlarge, shrink, woven
from wsreid.data.rendered.look import Pattern


@given(st.integers(0, 2**32 - 1))
def test_shrinking_undoes_enlarging(seed):
    image = np.random.default_rng(seed).integers(0, 256, size=(4, 3, 3), dtype=np.uint8)
    assert np.array_equal(shrink(enlarge(image)), image)


def test_shrinking_rounds_the_mean_to_nearest():
    canvas = np.random.default_rng(0).integers(0, 256, size=(12, 9, 3), dtype=np.uint8)
    means = canvas.reshape(4, 3, 3, 3, 3).astype(float).mean(axis=(1, 3))  # (4, 3, 3)
    assert np.array_equal(shrink(canvas), np.floor(means + 0.5).astype(np.uint8))


def test_patterns_differ_and_use_both_colours():
    y, x = np.arange(40), np.arange(-15, 15)
    masks = [woven(pattern, y, x, 40, 4) for pattern in Pattern]
    assert not masks[Pattern.PLAIN].any()
    for index, mask in enumerate(masks[1:], start=1):
        assert 0.15 < mask.mean() < 0.85
        assert not any(np.array_equal(mask, other) for other in masks[:index])


def test_cloth_off_the_canvas_is_cut():
    canvas = np.zeros((30, 30, 3), dtype=np.uint8)
    Brush(canvas).cloth([(-20, 5), (10, 5), (10, 20), (-20, 20)], Pattern.CHECKS, (255, 0, 0), (0, 255, 0), 3)
    Brush(canvas).cloth([(-20, -20), (-10, -20), (-10, -5)], Pattern.CHECKS, (9, 9, 9), (9, 9, 9), 3)
    filled = canvas.any(axis=2)
    assert filled[6:20, :10].all()
    assert not filled[:, 12:].any()
    assert (canvas[filled] != 9).any()
