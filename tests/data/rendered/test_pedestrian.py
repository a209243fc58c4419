from itertools import combinations

import cv2
import numpy as np
import pytest

from wsreid.data.rendered.brush import Brush
from wsreid.data.rendered.look import draw_looks
from wsreid.data.rendered.pedestrian import Place, Pose, draw_pedestrian


@pytest.fixture(scope="module")
def looks():
    return draw_looks(1, 20)


def painted(look, heading, phase=0.5):
    canvas = np.zeros((384, 192, 3), dtype=np.uint8)
    draw_pedestrian(Brush(canvas), look, Pose(heading, phase), Place(96.0, 360.0, 320.0))
    return canvas


def test_directions_and_gait_change_the_picture(looks):
    views = [painted(looks[0], turn * np.pi / 4) for turn in range(8)] + [painted(looks[0], 0.0, 2.0)]
    for a, b in combinations(views, 2):
        assert (a != b).any(axis=2).mean() > 0.005


def test_a_body_fills_its_place_and_nothing_else(looks):
    for look in looks[:20]:
        rows, columns = np.nonzero(painted(look, 1.0).any(axis=2))
        assert 12 <= rows.min() <= 80
        assert rows.max() <= 383
        assert columns.min() > 0
        assert columns.max() < 191


def test_threads_do_not_change_a_pixel(looks):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = painted(looks[3], 0.7)
        cv2.setNumThreads(4)
        assert np.array_equal(one, painted(looks[3], 0.7))
    finally:
        cv2.setNumThreads(before)
