import pytest

from tests.tracking.run_folders import make_result, write_run
from wsreid.report.comparison import report_comparison
from wsreid.report.named_runs import named_runs
from wsreid.tracking.compared_runs import compare_runs
from wsreid.tracking.recorded_run import read_run

GOOD, BAD = [[0], [0], [1], [0]], [[4], [1], [9], [3]]


@pytest.fixture
def compared(tmp_path):
    def make(*runs, baseline=None):
        folders = [
            write_run(tmp_path / str(at), make_result(ranks, **terms), method=method, seed=seed)
            for at, (method, seed, ranks, terms) in enumerate(runs)
        ]
        read = [read_run(folder) for folder in folders]
        return report_comparison(compare_runs(read, baseline), named_runs(read))

    return make


def cells(table, row):
    return dict(zip(table.heads, table.rows[row], strict=True))


def test_a_line_holds_means_intervals_and_the_test(compared):
    found = compared(("DGL", 0, GOOD, {}), ("DGL", 1, GOOD, {}), ("BagCE", 0, BAD, {}), baseline="BagCE")
    (table,) = found.tables
    best = cells(table, 0)
    assert (best["method"], best["seeds"], best["R1"], best["mAP step"]) == ("DGL", "0 1", "75.0 ± 0.0", "87.5 ± 0.0")
    assert best["mAP interval"].startswith("[")
    difference = float(best["vs BagCE"].split()[0])
    assert difference == pytest.approx(87.5 - (20 + 50 + 10 + 25) / 4, abs=0.06)
    assert best["vs BagCE"].endswith("*")
    assert 0 < float(best["p"]) < 0.05
    assert cells(table, 1)["vs BagCE"] == "n/a"
    assert any("vs = mAP minus that of the baseline" in note for note in found.notes)


def test_figures_that_mean_other_things_stand_in_other_tables(compared):
    found = compared(("DGL", 0, GOOD, {}), ("DGL", 1, BAD, {"junk": "none"}))
    assert [len(table.rows) for table in found.tables] == [1, 1]
    assert [table.title[:7] for table in found.tables] == ["Table 1", "Table 2"]
    assert any("NOT COMPARABLE" in note for note in found.notes)
    assert any("junk" in note and "table 2: none" in note for note in found.notes)
    assert len(found.chart.choices) == 4


def test_the_chart_shows_the_intervals_of_the_table(compared):
    found = compared(("DGL", 0, GOOD, {}), ("BagCE", 0, BAD, {}))
    drawn = found.chart.choices[0].figure
    assert [trace.y[0] for trace in drawn.data] == ["BagCE", "DGL"]  # the best stands above
    trace = drawn.data[1]
    low, high = trace.x[0] - trace.error_x.arrayminus[0], trace.x[0] + trace.error_x.array[0]
    assert cells(found.tables[0], 0)["mAP interval"] == f"[{low:.1f}, {high:.1f}]"


def test_an_experiment_has_one_name_in_tables_and_charts(tmp_path):
    folders = [
        write_run(tmp_path / str(at), make_result(GOOD, junk=junk), options={"lr": lr})
        for at, (lr, junk) in enumerate(((0.1, "a"), (0.2, "b")))
    ]
    read = [read_run(folder) for folder in folders]
    found = report_comparison(compare_runs(read), named_runs(read))
    assert [table.rows[0][0] for table in found.tables] == ["BagCE (lr 0.1)", "BagCE (lr 0.2)"]


def test_without_a_finished_run_it_is_said(tmp_path):
    read = [read_run(write_run(tmp_path / "a"))]
    found = report_comparison(compare_runs(read), named_runs(read))
    assert found.tables == ()
    assert any("there is no run to compare" in note for note in found.notes)
    assert any("Left out" in note and str(tmp_path) in note for note in found.notes)
    assert found.chart.note.startswith("n/a")
