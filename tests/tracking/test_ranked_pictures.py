import cv2
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from wsreid.tracking.ranked_pictures import RIGHT, WRONG, draw_ranked

PID = {0: 1, 1: 2, 2: 3, 10: 1, 11: 0, 12: 0, 13: 2, 14: 0}


def _pixels(path, colour):
    image = cv2.imread(str(path))[:, :, ::-1].astype(int)
    return int((np.abs(image - np.round(np.array(to_rgb(colour)) * 255)) < 3).all(axis=2).sum())


def test_every_shown_image_is_the_one_that_the_result_names(result, tmp_path):
    shown = []

    def image(row):
        shown.append(row)
        return np.full((32, 16, 3), 128, np.uint8)

    draw_ranked(result, [1, 0], image, PID.__getitem__, tmp_path / "p" / "a.png", title="worst", length=3)
    assert shown == [1, *result.topk[1, :3], 0, *result.topk[0, :3]]
    assert (tmp_path / "p" / "a.png").is_file()
    assert [p.name for p in (tmp_path / "p").iterdir()] == ["a.png"]


def test_right_is_green_and_wrong_is_red(result, tmp_path):
    def draw(pid):
        draw_ranked(result, [0], lambda row: np.zeros((32, 16, 3), np.uint8), pid, tmp_path / "a.png", title="t")
        return _pixels(tmp_path / "a.png", RIGHT), _pixels(tmp_path / "a.png", WRONG)

    green, red = draw(lambda row: 1)
    assert green > 100
    assert red == 0
    green, red = draw(lambda row: 1 if row == 0 else 0)
    assert green == 0
    assert red > 100


def test_a_result_without_lists_is_refused(result, tmp_path):
    with pytest.raises(ValueError, match="at least one query"):
        draw_ranked(
            result, [], lambda row: np.zeros((2, 2, 3), np.uint8), PID.__getitem__, tmp_path / "a.png", title=""
        )
