import numpy as np
import pytest

from wsreid.tracking.image_grid import TitledImage, image_grid


def image(height=40, width=20):
    return np.full((height, width, 3), 90, np.uint8)


def test_each_image_stands_in_its_line_under_its_title():
    lines = [[TitledImage(image(), "a"), TitledImage(image(), "$b$\nright", "green")], [TitledImage(image(), "c")]]
    figure = image_grid(lines, "two lines")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["a", "$b$\nright", "c"]
    assert [len(axis.images) for axis in figure.axes] == [1, 1, 1]
    assert [text.get_text() for text in figure.texts] == ["two lines"]
    assert [axis.spines["left"].get_visible() for axis in figure.axes] == [False, True, False]
    a, b, c = (axis.get_position() for axis in figure.axes)
    assert a.x1 < b.x0
    assert c.y1 < a.y0 == b.y0
    figure.draw_without_rendering()


@pytest.mark.parametrize("columns", [1, 2, 9])
def test_the_figure_is_no_wider_than_a_page_and_titles_stay_inside(columns):
    figure = image_grid([[TitledImage(image(), "0.5")] * columns] * 2, "a title")
    figure.draw_without_rendering()
    assert figure.get_figwidth() <= 10
    for axis in figure.axes:
        box = axis.title.get_window_extent()
        assert box.x0 >= 0
        assert box.y1 <= figure.bbox.height


def test_nothing_to_draw_is_refused():
    for lines in ([], [[]]):
        with pytest.raises(ValueError, match="at least one image"):
            image_grid(lines)
