from xml.etree import ElementTree

import cv2
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from wsreid.errors import DataError
from wsreid.tracking.figure_files import WIDTH, new_figure, save_figure


def drawn():
    figure = new_figure(1.5)
    figure.add_subplot().plot([1, 2], [3, 4], label="line")
    return figure


def test_png_and_svg_are_written_whole_and_as_wide_as_said(tmp_path):
    png, svg = save_figure(drawn(), tmp_path / "new", "name")
    assert sorted(path.name for path in png.parent.iterdir()) == ["name.png", "name.svg"]
    assert cv2.imread(str(png)).shape == (150, WIDTH, 3)
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")


def test_the_same_figure_gives_the_same_bytes_and_leaves_the_settings_alone(tmp_path):
    before = mpl.rcParams["svg.hashsalt"]
    first = [path.read_bytes() for path in save_figure(drawn(), tmp_path, "a")]
    assert [path.read_bytes() for path in save_figure(drawn(), tmp_path, "a")] == first
    assert mpl.rcParams["svg.hashsalt"] == before


def test_a_folder_that_is_a_file_is_the_users_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        save_figure(drawn(), tmp_path / "file", "a")


def test_a_figure_is_not_kept_by_pyplot(tmp_path):
    save_figure(drawn(), tmp_path, "a")
    assert plt.get_fignums() == []


def test_few_colours_make_a_small_picture_of_the_same_look(tmp_path):
    figure = new_figure(2)
    figure.add_subplot().imshow(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    full = save_figure(figure, tmp_path, "full")[0]
    few = save_figure(figure, tmp_path, "few", colours=16)[0]
    assert 2 * few.stat().st_size < full.stat().st_size
    pictures = [cv2.imread(str(path)).astype(int) for path in (full, few)]
    assert len(np.unique(pictures[1].reshape(-1, 3), axis=0)) <= 16
    assert np.abs(pictures[0] - pictures[1]).mean() < 16
