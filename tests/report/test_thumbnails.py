import base64

import cv2
import numpy as np
import pytest

from wsreid.data.images import UnreadableImage
from wsreid.report.thumbnails import SIZES, thumbnails


@pytest.fixture
def images():
    """Readers of noisy images, 256 pixels high."""
    rng = np.random.default_rng(0)
    found = [rng.integers(0, 256, (256, 128, 3), dtype=np.uint8) for _ in range(12)]
    return [lambda image=image: image for image in found]


def gone():
    raise UnreadableImage("x.jpg is missing.")


def decoded(text):
    data = np.frombuffer(base64.b64decode(text), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_with_room_they_are_as_large_as_they_get(images):
    steps = []
    found = thumbnails(images, [0] * 12, 10**7, lambda: steps.append(1))
    assert found.height == SIZES[0][0]
    assert {decoded(text).shape for text in found.texts} == {(128, 64, 3)}
    assert (found.unreadable, found.left_out, len(steps)) == (0, 0, 12)


def test_colours_stay_in_their_place():
    red = np.zeros((64, 32, 3), np.uint8)
    red[..., 0] = 200
    seen = decoded(thumbnails([lambda: red], [0], 10**6).texts[0])
    assert seen.shape == (64, 32, 3)  # a small image is not made larger
    assert abs(int(seen[..., 0].mean()) - 200) < 5
    assert seen[..., 1:].mean() < 5


def test_a_budget_makes_them_smaller_before_any_is_left_out(images):
    most = sum(len(text) for text in thumbnails(images, [0] * 12, 10**7).texts)
    found = thumbnails(images, [0] * 12, most // 3)
    assert found.height < SIZES[0][0]
    assert found.left_out == 0
    assert sum(len(text) for text in found.texts) <= most // 3


def test_those_at_the_worst_places_are_left_out_first(images):
    places = [3, 0, 2, 1] * 3
    assert {*thumbnails(images, places, 1).texts} == {None}  # nothing fits into one character
    budget = 6000
    found = thumbnails(images, places, budget)
    assert found.height == SIZES[-1][0]
    kept = [place for place, text in zip(places, found.texts, strict=True) if text]
    assert 0 < len(kept) < 12
    assert found.left_out == 12 - len(kept)
    assert max(kept) <= min(place for place, text in zip(places, found.texts, strict=True) if not text)
    assert sum(len(text) for text in found.texts if text) <= budget


def test_an_image_that_is_gone_is_counted_and_costs_no_other(images):
    found = thumbnails([images[0], gone, images[1]], [0, 0, 0], 10**7)
    assert [text is None for text in found.texts] == [False, True, False]
    assert (found.unreadable, found.left_out) == (1, 0)


def test_none_is_no_error():
    assert thumbnails([], [], 1000).texts == ()
