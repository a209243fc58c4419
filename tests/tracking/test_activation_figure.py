import numpy as np
import pytest

from wsreid.tracking.activation_figure import activation_figure, overlay
from wsreid.tracking.figure_files import pixels

GREY = np.full((32, 16, 3), 100, np.uint8)


def test_a_strong_place_is_bright_and_a_weak_one_dark():
    strength = np.zeros((32, 16), np.float32)
    strength[:16] = 1
    found = overlay(GREY, strength)
    assert found.shape == GREY.shape
    assert found.dtype == np.uint8
    assert found[:16].mean() > 120
    assert found[16:].mean() < 60
    assert np.ptp(found[:16], axis=(0, 1)).max() == 0


@pytest.mark.parametrize("count", [1, 6, 7])
def test_each_image_stands_beside_its_map(count):
    red = np.zeros((32, 16, 3), np.uint8)
    red[..., 0] = 255
    strength = [np.ones((32, 16), np.float32)] * count
    figure = activation_figure([red] * count, strength, [f"id {i}" for i in range(count)], "Where")
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 2 * count
    for left, right in zip(shown[::2], shown[1::2], strict=True):
        assert np.array_equal(left.images[0].get_array(), red)
        assert np.array_equal(right.images[0].get_array(), overlay(red, strength[0]))
    assert [axis.get_title() for axis in shown[::2]] == [f"id {i}" for i in range(count)]
    assert pixels(figure).shape[1] == 1000


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        activation_figure([], [], [], "")
