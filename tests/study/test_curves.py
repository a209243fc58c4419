import pytest

from wsreid.study.comparison import compare
from wsreid.study.curves import curves_figure
from wsreid.study.plan import planned_runs
from wsreid.study.study_file import read_study


@pytest.fixture
def figure_of(write_study, folder, recorded):
    def make(settings):
        study = read_study(write_study(settings=settings))
        runs = planned_runs(study, folder)
        return curves_figure(study, compare(study, runs, recorded(runs)))

    return make


def test_a_panel_an_axis_and_a_line_a_method(figure_of):
    settings = {
        "n4": {"data.n": 4, "x": {"ids": 4, "noise": 0}},
        "n2": {"data.n": 2, "x": {"ids": 2}},
        "noisy": {"data.n": 4, "x": {"noise": 0.2}},
        "windows": {"data.p": "w"},
    }
    figure = figure_of(settings)
    assert [panel.get_xlabel() for panel in figure.axes] == ["ids", "noise"]
    for panel, expected in zip(figure.axes, ([2, 4], [0, 0.2]), strict=True):
        curves = [container.lines[0] for container in panel.containers]
        assert len(curves) == 3
        assert all(list(curve.get_xdata()) == expected for curve in curves)
        assert all(list(curve.get_ydata()) == [75, 75] for curve in curves)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["Oracle", "BagCE", "dgl_official"]


def test_without_an_axis_there_is_no_figure(figure_of):
    assert figure_of({"a": {"data.n": 1}, "b": {"data.n": 2, "x": 2}}) is None
