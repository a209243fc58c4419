from pathlib import Path

from tests.tracking.run_folders import make_config
from wsreid.report.named_runs import named_runs
from wsreid.tracking.recorded_run import RecordedRun


def run(folder, method="BagCE", seed=0, **options):
    return RecordedRun(Path(folder), make_config(method, seed, **options))


def test_an_experiment_is_named_by_what_sets_it_apart_and_its_runs_by_their_seeds():
    found = named_runs([run("a"), run("b", seed=1), run("c", "DGL"), run("d", lr=0.2)])
    assert [each.group for each in found] == ["BagCE (lr 0.1)", "BagCE (lr 0.1)", "DGL", "BagCE (lr 0.2)"]
    assert [each.name for each in found][:2] == ["BagCE (lr 0.1), seed 0", "BagCE (lr 0.1), seed 1"]
    assert [each.number for each in found] == [0, 0, 1, 2]


def test_the_same_experiment_and_seed_twice_are_told_apart_by_their_folders():
    assert [each.name for each in named_runs([run("x/a"), run("x/b")])] == ["BagCE, seed 0, x/a", "BagCE, seed 0, x/b"]
