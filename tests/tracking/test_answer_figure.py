from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wsreid.tracking import answer_figure as answer_figure_module
from wsreid.tracking.answer import Answer, Hit
from wsreid.tracking.answer_figure import answer_figure, small

HITS = tuple(Hit(rank, 1 - rank / 100, 100 + rank, "0007", 3) for rank in range(1, 13))


def picture(value):
    return np.full((40, 20, 3), value, np.uint8)


def drawn(answers, gallery=lambda hit: picture(hit.rank)):
    figure = answer_figure(answers, lambda answer: picture(200), gallery, "a title")
    figure.draw_without_rendering()
    return figure, [(axis.get_title(), int(axis.images[0].get_array()[0, 0, 0])) for axis in figure.axes]


def test_one_image_stands_left_of_all_that_was_found():
    figure, shown = drawn([Answer(Path("folder/me.jpg"), HITS)])
    assert figure.texts[0].get_text() == "a title"
    assert shown[0] == ("me.jpg", 200)
    assert shown[1] == ("1: 0.990\n0007 c3", 1)
    assert [value for _, value in shown] == [200, *range(1, 11), 255, 11, 12]
    left = [axis.get_position().x0 for axis in figure.axes]
    assert left[0] == left[11] < left[1] == left[12]


def test_of_several_images_each_of_the_first_has_a_line(monkeypatch):
    monkeypatch.setattr(answer_figure_module, "LINES", 3)
    answers = [Answer(Path(f"{number}.jpg"), HITS) for number in range(5)]
    figure, shown = drawn(answers)
    assert [title for title, value in shown if value == 200] == [f"{number}.jpg" for number in range(3)]
    assert len(shown) == 3 * 11
    assert len({round(axis.get_position().y0, 6) for axis in figure.axes}) == 3


def test_what_is_not_known_is_left_out_and_what_is_gone_is_said():
    hits = (Hit(1, 0.5, 17), replace(HITS[1], camera=None), replace(HITS[2], identity="a very long name"), HITS[3])
    _, shown = drawn([Answer(Path("x.png"), hits)], lambda hit: None if hit.rank in (1, 4) else picture(9))
    titles = [title.split("\n") for title, _ in shown[1:]]
    assert titles == [
        ["1: 0.500", "row 17", "no image"],
        ["2: 0.980", "0007"],
        ["3: 0.970", "a very long"],
        ["4: 0.960", "0007 c3", "no image"],
    ]
    _, shown = drawn([Answer(Path("a_name_that_is_much_longer_than_its_place_is_wide.jpeg"), ())])
    assert shown == [("a_name_that\n_is_much_lo\nnger_than_i", 200)]


@pytest.mark.parametrize("shape", [(1000, 500, 3), (300, 4, 3), (256, 9, 3)])
def test_images_are_made_small_in_proportion(shape):
    found = small(np.full(shape, 77, np.uint8))
    assert found.shape[0] == 256
    assert found.shape[1] == pytest.approx(shape[1] * 256 / shape[0], abs=1)
    assert (found == 77).all()
