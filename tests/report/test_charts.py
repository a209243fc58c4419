"""The charts of runs, from files made by hand."""

import numpy as np
import pytest
import yaml

from tests.tracking.run_folders import make_result, write_run
from wsreid.report.bag_size_curves import bag_size_curves
from wsreid.report.diagnostic_curves import diagnostic_curves
from wsreid.report.learning_curves import learning_curves
from wsreid.report.named_runs import named_runs
from wsreid.report.retrieval_curves import ap_distribution, cmc_curves
from wsreid.tracking.recorded_run import read_run

DIAGNOSTICS = """epoch,group,raw,raw_random,entropy,confused_pairs
0,all,0.25,0.5,0.7,1>2:3
1,all,0.75,0.5,0.6,
1,bag size 2,1.0,,,
"""


@pytest.fixture
def read(tmp_path):
    """Reads run folders that `write_run` makes of these arguments."""

    def make(*runs):
        folders = [write_run(tmp_path / str(at), *args, **options) for at, (args, options) in enumerate(runs)]
        return named_runs([read_run(folder) for folder in folders])

    return make


def choice(chart, label):
    return next(each.figure for each in chart.choices if each.label == label)


def values(figure):
    return [(trace.x.tolist(), pytest.approx(trace.y.tolist())) for trace in figure.data]


def test_learning_curves_are_of_each_metric_in_percent_where_it_is_a_share(read):
    chart = learning_curves(read(((), {}), ((), {"seed": 1})))
    assert [each.label for each in chart.choices] == ["val/mAP_step", "train/loss"]
    assert [(trace.x.tolist(), trace.y.tolist()) for trace in choice(chart, "val/mAP_step").data] == [
        ([0, 1], [25.0, 50.0])
    ] * 2
    assert choice(chart, "train/loss").data[0].y.tolist() == [2.5, 2.0]
    assert choice(chart, "val/mAP_step").data[0].line.color == choice(chart, "val/mAP_step").data[1].line.color


def test_without_metrics_it_is_said(read, tmp_path):
    runs = read(((), {}))
    (tmp_path / "0" / "metrics.csv").unlink()
    chart = learning_curves(runs)
    assert chart.choices == ()
    assert chart.note.startswith("n/a")


@pytest.mark.parametrize("left", [None, "", "epoch,step,val/mAP_step\n0,1,0.2"])
def test_a_run_without_a_curve_is_named_beside_those_that_have_one(read, tmp_path, left):
    runs = read(((), {}), ((), {"method": "Oracle"}))
    assert "Without a curve" not in learning_curves(runs).note
    file = tmp_path / "1" / "metrics.csv"
    file.unlink() if left is None else file.write_text(left)
    again = named_runs([read_run(tmp_path / name) for name in "01"])
    said = "Without a curve, as metrics.csv is missing or holds no value: Oracle, seed 0."
    assert learning_curves(again).note.endswith(said)


def test_diagnostics_are_by_group_and_stand_beside_chance(read, tmp_path):
    runs = read(((), {}), ((), {"method": "Oracle"}))
    (tmp_path / "0" / "diagnostics.csv").write_text(DIAGNOSTICS)
    chart = diagnostic_curves(runs)
    assert [(each.section, each.label.partition(":")[0]) for each in chart.choices] == [
        ("all bags", "all"),
        ("all bags", "all"),
        ("bag size 2", "bag size 2"),
    ]
    raw, entropy, small = (each.figure for each in chart.choices)
    assert [(trace.y.tolist(), trace.line.dash) for trace in raw.data] == [([25, 75], "solid"), ([50, 50], "dot")]
    assert [trace.name for trace in raw.data] == ["BagCE", ""]
    assert np.allclose(entropy.data[0].y, [0.7, 0.6])
    assert (small.data[0].x.tolist(), small.data[0].y.tolist()) == ([1], [100])


def test_without_diagnostics_it_is_said(read):
    chart = diagnostic_curves(read(((), {})))
    assert chart.choices == ()
    assert chart.note.startswith("n/a")


def test_cmc_counts_as_the_protocol_counts(read):
    ranks = [[0, 3], [1], [], [0]]
    left_out, missed = make_result(ranks), make_result(ranks, unmatched="missed")
    (drawn,) = cmc_curves(read(((left_out,), {}), ((missed,), {"seed": 1}), ((), {"seed": 2}))).choices
    assert np.allclose(drawn.figure.data[0].y[:2], [200 / 3, 100])
    assert np.allclose(drawn.figure.data[1].y[:2], [50, 75])
    assert drawn.figure.data[0].x.tolist()[:2] == [1, 2]
    assert len(drawn.figure.data) == 2


def test_ap_is_spread_over_the_queries_that_count(read):
    ranks = [[0], [1], [], [3]]  # AP 100, 50, none, 25
    left_out, missed = make_result(ranks), make_result(ranks, unmatched="missed")
    upto, bins = ap_distribution(read(((left_out,), {}), ((missed,), {"seed": 1}))).choices
    assert np.allclose(upto.figure.data[0].x, [25, 50, 100])
    assert np.allclose(upto.figure.data[0].y, [100 / 3, 200 / 3, 100])
    assert np.allclose(upto.figure.data[1].x, [0, 25, 50, 100])
    shares = dict(zip(bins.figure.data[1].x.tolist(), bins.figure.data[1].y.tolist(), strict=True))
    assert {at: share for at, share in shares.items() if share} == {2.5: 25, 27.5: 25, 52.5: 25, 97.5: 25}


@pytest.mark.parametrize("chart", [cmc_curves, ap_distribution])
def test_without_a_test_it_is_said(read, chart):
    found = chart(read(((), {})))
    assert found.choices == ()
    assert found.note.startswith("n/a")


@pytest.fixture
def sized(tmp_path):
    """Runs of a method with some bag size."""

    def make(*runs):
        folders = []
        for at, (method, size, seed, ranks, *batch) in enumerate(runs):
            folder = write_run(tmp_path / str(at), make_result(ranks), method=method, seed=seed, bags=str(size) * 64)
            config = yaml.safe_load((folder / "config.yaml").read_text())
            config["data"]["init_args"] |= {"bags": {"ids_per_bag": size}, "bags_per_batch": batch[0] if batch else 8}
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
            folders.append(folder)
        return named_runs([read_run(folder) for folder in folders])

    return make


def test_a_curve_over_the_bag_size_pools_the_seeds(sized):
    right, wrong = [[0], [0], [1], [1]], [[1], [1], [3], [3]]
    chart = bag_size_curves(
        sized(("BagCE", 4, 0, wrong), ("BagCE", 2, 0, right), ("BagCE", 2, 1, wrong), ("DGL", 2, 0, right))
    )
    assert [each.label for each in chart.choices] == ["mAP (step), %", "R1, %"]
    (trace,) = choice(chart, "mAP (step), %").data
    assert trace.name == "BagCE"
    assert (trace.x.tolist(), trace.y.tolist()) == ([2, 4], [(75 + 37.5) / 2, 37.5])
    assert (trace.error_y.array >= 0).all()
    assert trace.error_y.array.max() > 0
    assert trace.meta == (0, 1)  # it is hidden when both experiments are
    assert choice(chart, "R1, %").data[0].y.tolist() == [25, 0]


def test_runs_of_one_bag_size_have_no_such_curve(sized):
    chart = bag_size_curves(sized(("BagCE", 2, 0, [[0]]), ("DGL", 4, 0, [[0]])))
    assert chart.choices == ()
    assert chart.note.startswith("n/a: no two finished runs of one method")


def test_batches_may_change_with_the_bags_and_it_is_said(sized):
    runs = sized(("BagCE", 2, 0, [[0]], 8), ("BagCE", 4, 0, [[1]], 4), ("BagCE", 4, 1, [[3]], 4))
    chart = bag_size_curves(runs)
    (trace,) = choice(chart, "mAP (step), %").data
    assert (trace.x.tolist(), trace.y.tolist()) == ([2, 4], [100, 37.5])
    assert "NOT THE SAME BATCHES" in chart.note
    assert "4 x ?, 8 x ?" in chart.note


def test_where_several_batches_are_there_at_one_bag_size_they_are_kept_apart(sized):
    runs = sized(
        ("BagCE", 2, 0, [[0]], 8), ("BagCE", 2, 0, [[9]], 4), ("BagCE", 4, 0, [[1]], 4), ("BagCE", 4, 0, [[3]], 2)
    )
    chart = bag_size_curves(runs)
    (trace,) = choice(chart, "mAP (step), %").data
    assert (trace.x.tolist(), trace.y.tolist()) == ([2, 4], [10, 50])
    assert "NOT THE SAME" not in chart.note


def test_a_copy_of_a_run_counts_once(sized):
    runs = sized(("BagCE", 2, 0, [[0]]), ("BagCE", 2, 0, [[9]]), ("BagCE", 4, 0, [[1]]))
    (trace,) = choice(bag_size_curves(runs), "mAP (step), %").data
    assert trace.y.tolist() == [100, 50]
