import numpy as np
import pytest

from tests.tracking.run_folders import make_config
from wsreid.report.chart import (
    GRID,
    MOST_EPOCHS,
    PALETTE,
    PAPER,
    TEXT,
    NamedRun,
    figure,
    line,
    lines,
    look,
    over_epochs,
    plain,
)
from wsreid.tracking.recorded_run import RecordedRun


@pytest.fixture
def named(tmp_path):
    return NamedRun(RecordedRun(tmp_path, make_config()), "<b>a</b>, seed 0", "<b>a</b>", 3)


def contrast(first, second):
    """WCAG 2.2's contrast ratio of two colours such as #a0b1c2."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_stand_out_from_the_paper():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast(TEXT, PAPER) >= 4.5
    assert min(contrast(colour, PAPER) for colour in PALETTE) >= 3
    assert contrast(GRID, PAPER) < 3  # the grid is to stand back


def test_thirty_experiments_look_different():
    assert len({look(number) for number in range(30)}) == 30


def test_names_are_no_markup_and_no_template(named):
    assert plain("<a href='x'>%{y}\n&") == "&lt;a href='x'&gt;%&#123;y} &amp;"
    shown = line(named, [1], [2])["hovertemplate"]
    assert shown.startswith("&lt;b&gt;a&lt;/b&gt;, seed 0<br>")


def test_long_names_are_cut_into_few_short_lines():
    parts = lines("a " * 100 + "<").split("<br>")
    assert len(parts) == 3
    assert max(map(len, parts)) <= 24
    assert lines("") == " "


def test_of_many_epochs_the_first_and_the_last_stay(named):
    epochs = np.arange(1000)
    trace = over_epochs(named, epochs, epochs / 10)
    assert len(trace["x"]) == MOST_EPOCHS
    assert (trace["x"][0], trace["x"][-1], trace["y"][-1]) == (0, 999, np.float32(99.9))
    assert trace["x"].dtype == np.int16


@pytest.mark.parametrize(("largest", "step"), [(0, 1), (8, 1), (9, 2), (60, 10), (300, 50)])
def test_ticks_stand_at_whole_numbers(named, largest, step):
    assert figure("x", "y", [line(named, [0, largest], [0, 1])], whole=True).layout.xaxis.dtick == step


def test_a_figure_carries_no_theme_of_plotly(named):
    assert len(figure("x", "y", [line(named, [1], [1])]).to_json()) < 1500
