import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.data.jitter import ORDERS, jittered

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 5, 3), np.uint8)
factor = st.floats(0, 2)


def naive(image, factors, order):
    """The same in floating point, rounded after each change."""
    brightness, contrast, saturation = factors
    values = image.astype(float)
    for change in order:
        grey = np.rint(values @ [0.299, 0.587, 0.114])
        if change == "brightness":
            values = brightness * values
        elif change == "contrast":
            values = contrast * values + (1 - contrast) * grey.mean()
        else:
            values = saturation * values + (1 - saturation) * grey[..., None]
        values = np.rint(values).clip(0, 255)
    return values


@settings(max_examples=60, deadline=None)
@given(factors=st.tuples(factor, factor, factor), order=st.sampled_from(ORDERS))
def test_formula(factors, order):
    result = jittered(IMAGE, factors, order)
    assert result.dtype == np.uint8
    assert result.shape == IMAGE.shape
    # A value halfway between two whole numbers may be rounded up here and down there, at each of three changes.
    assert np.abs(result - naive(IMAGE, factors, order)).max() <= 8
    assert np.abs(result - naive(IMAGE, factors, order)).mean() < 1


@pytest.mark.parametrize("order", ORDERS)
def test_factors_of_one_change_nothing(order):
    assert np.array_equal(jittered(IMAGE, (1, 1, 1), order), IMAGE)


def test_factors_of_zero():
    order = ORDERS[0]
    assert not jittered(IMAGE, (0, 1, 1), order).any()
    assert len(np.unique(jittered(IMAGE, (1, 0, 1), order))) == 1
    grey = jittered(IMAGE, (1, 1, 0), order)
    assert np.array_equal(grey[..., 0], grey[..., 1])
    assert np.array_equal(grey[..., 0], grey[..., 2])


def test_the_order_counts():
    assert len(ORDERS) == 6
    assert len({jittered(IMAGE, (1.4, 0.6, 1.5), order).tobytes() for order in ORDERS}) >= 4


def test_the_image_stays():
    before = IMAGE.copy()
    jittered(IMAGE, (0.5, 1.5, 0.5), ORDERS[3])
    assert np.array_equal(IMAGE, before)
