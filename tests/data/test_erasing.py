import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.data.erasing import AREA, MEAN_COLOUR, RATIO, erase


def holes(count, height=256, width=128):
    """Tops, lefts, heights and widths of erased rectangles, `(count, 4)`."""
    found = []
    rng = np.random.default_rng(0)
    for _ in range(count):
        image = np.zeros((3, height, width), np.uint8)
        erase(image, rng, "mean")
        ys, xs = np.nonzero(image[0])
        assert len(ys) == (np.ptp(ys) + 1) * (np.ptp(xs) + 1)  # a rectangle, and whole
        found.append((ys.min(), xs.min(), np.ptp(ys) + 1, np.ptp(xs) + 1))
    return np.array(found)


def naive_sizes(count, height, width):
    """Heights and widths by the paper's algorithm, drawn apart from the code under test."""
    rng = np.random.default_rng(1)
    found = []
    while len(found) < count:
        area, ratio = rng.uniform(*AREA) * height * width, rng.uniform(*RATIO)
        h, w = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if h < height and w < width:
            found.append((h, w))
    return np.array(found)


def test_area_ratio_and_place():
    top, left, h, w = holes(1500).T
    area, ratio = h * w / (256 * 128), h / w
    assert area.min() < 0.03
    assert 0.38 < area.max() < 0.41
    assert ratio.min() < 0.45
    assert ratio.max() > 3.1
    expected = naive_sizes(1500, 256, 128)
    for mine, theirs in ((h, expected[:, 0]), (w, expected[:, 1]), (area, expected.prod(1) / (256 * 128))):
        quantiles = [np.quantile(x, [0.1, 0.3, 0.5, 0.7, 0.9]) for x in (mine, theirs)]
        np.testing.assert_allclose(*quantiles, rtol=0.12)
    for place, room in ((top, 256 - h), (left, 128 - w)):
        share = place[room > 20] / room[room > 20]
        assert abs(share.mean() - 0.5) < 0.03
        assert share.min() < 0.02
        assert share.max() == 1


def test_fills():
    image = np.zeros((3, 64, 32), np.uint8)
    erase(image, np.random.default_rng(0), "mean")
    colours = {tuple(c) for c in image.reshape(3, -1).T.tolist()}
    assert colours == {(0, 0, 0), MEAN_COLOUR}
    image[:] = 0
    erase(image, np.random.default_rng(0), "random")
    assert len(np.unique(image)) > 100


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 12), width=st.integers(1, 12), seed=st.integers(0, 5))
def test_tiny_images(height, width, seed):
    image = np.zeros((3, height, width), np.uint8)
    erase(image, np.random.default_rng(seed), "mean")
    assert (image == 0).any()  # never the whole image


@pytest.mark.parametrize("fill", ["mean", "random"])
def test_the_generator_is_all_that_counts(fill):
    results = []
    for _ in range(2):
        image = np.zeros((3, 40, 20), np.uint8)
        erase(image, np.random.default_rng(3), fill)
        results.append(image)
    assert np.array_equal(*results)
