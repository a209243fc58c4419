import statistics

import numpy as np
import pytest
import yaml

from tests.tracking.run_folders import change_results, make_config, make_result, write_run
from wsreid.errors import ConfigError, DataError
from wsreid.tracking.compared_runs import compare_folders
from wsreid.tracking.pooled_bootstrap import DRAWS, SEED

PIDS = [3, 3, 5, 8, 8, 8, 9, 9]


def random_ranks(seed, late=20):
    rng = np.random.default_rng(seed)
    return [np.sort(rng.choice(late, rng.integers(1, 4), replace=False)).tolist() for _ in PIDS]


@pytest.fixture
def runs(tmp_path):
    """Writes finished runs: three seeds of DGL, two of BagCE with the matches later, one of Oracle."""
    for method, seeds, late in (("DGL", (0, 1, 2), 15), ("BagCE", (1, 2), 40), ("Oracle", (0,), 5)):
        for seed in seeds:
            result = make_result(random_ranks(seed, late), PIDS)
            write_run(tmp_path / "runs" / f"{method}{seed}", result, method=method, seed=seed)
    return tmp_path / "runs"


def ap(ranks):
    return sum((i + 1) / (r + 1) for i, r in enumerate(ranks)) / len(ranks)


def naive_map(seeds, late, pids=None):
    """mAP in percent by a loop over drawn identities, their queries and the seeds."""
    total, number = 0.0, 0
    for pid in sorted(set(PIDS)) if pids is None else pids:
        for seed in seeds:
            for ranks, own in zip(random_ranks(seed, late), PIDS, strict=True):
                if own == pid:
                    total += ap(ranks)
                    number += 1
    return 100 * total / number


def drawn():
    ids = sorted(set(PIDS))
    draws = np.random.default_rng(SEED).integers(0, len(ids), (DRAWS, len(ids)))
    return [[ids[at] for at in draw] for draw in draws]


def the_table(found):
    assert len(found.tables) == 1
    return found.tables[0]


def test_runs_are_grouped_over_seeds_and_ordered_by_map(runs):
    found = compare_folders([runs])
    table = the_table(found)
    assert [group.label for group in table.groups] == ["Oracle", "DGL", "BagCE"]
    assert [group.seeds for group in table.groups] == [(0,), (0, 1, 2), (1, 2)]
    assert [group.used_truth for group in table.groups] == [True, False, False]
    assert table.data == "synthetic"
    assert found.left_out == ()
    assert found.differing == {}
    assert table.baseline is None
    assert all(group.against is None for group in table.groups)


def test_means_and_deviations_are_those_of_a_loop(runs):
    dgl = the_table(compare_folders([runs])).groups[1]
    values = [naive_map([seed], 15) for seed in (0, 1, 2)]
    assert dgl.mean_ap == pytest.approx(statistics.mean(values))
    assert dgl.numbers["mAP_step"].deviation == pytest.approx(statistics.stdev(values))
    hits = [100 * np.mean([ranks[0] == 0 for ranks in random_ranks(seed, 15)]) for seed in (0, 1, 2)]
    assert dgl.numbers["R1"].mean == pytest.approx(statistics.mean(hits))
    assert dgl.numbers["seconds"].mean == 60
    assert "refine_raw" not in dgl.numbers


def test_the_interval_is_that_of_a_loop_over_drawn_identities(runs):
    dgl = the_table(compare_folders([runs])).groups[1]
    values = [naive_map((0, 1, 2), 15, pids) for pids in drawn()]
    assert dgl.map_interval.value == pytest.approx(dgl.mean_ap)
    assert [dgl.map_interval.low, dgl.map_interval.high] == pytest.approx(np.quantile(values, [0.025, 0.975]))
    assert dgl.r1_interval.value == pytest.approx(dgl.numbers["R1"].mean)


def test_the_test_against_the_baseline_is_that_of_a_loop_over_the_seeds_of_both(runs):
    table = the_table(compare_folders([runs], "BagCE"))
    oracle, dgl, bagce = table.groups
    assert table.baseline == "BagCE"
    assert bagce.against is oracle.against is None
    values = np.array([naive_map((1, 2), 15, pids) - naive_map((1, 2), 40, pids) for pids in drawn()])
    assert dgl.against.value == pytest.approx(naive_map((1, 2), 15) - naive_map((1, 2), 40))
    assert [dgl.against.low, dgl.against.high] == pytest.approx(np.quantile(values, [0.025, 0.975]))
    assert dgl.against.p == pytest.approx(2 * (1 + min((values <= 0).sum(), (values >= 0).sum())) / (DRAWS + 1))
    assert dgl.against.excludes_zero
    assert any("Not tested" in note and "Oracle" in note for note in table.notes)


def test_the_baseline_may_be_a_method_in_any_case_a_label_or_a_run_folder(runs):
    for name in ("bagce", "BagCE", str(runs / "BagCE2")):
        assert the_table(compare_folders([runs], name)).baseline == "BagCE"
    with pytest.raises(ConfigError, match=r"--baseline CC: no such group\. There are: Oracle, DGL, BagCE"):
        compare_folders([runs], "CC")


def test_an_option_makes_another_group_and_its_label(runs, tmp_path):
    write_run(runs / "x", make_result(random_ranks(7, 80), PIDS), method="DGL", seed=0, options={"lr": 0.5})
    table = the_table(compare_folders([runs], "DGL (lr 0.1)"))
    assert [group.label for group in table.groups] == ["Oracle", "DGL (lr 0.1)", "BagCE", "DGL (lr 0.5)"]
    assert table.groups[1].config_hash != table.groups[3].config_hash
    with pytest.raises(ConfigError, match=r'2 groups of this method.*"DGL \(lr 0.1\)", "DGL \(lr 0.5\)"'):
        compare_folders([runs], "dgl")


def test_run_place_and_seed_make_no_group(runs):
    config = make_config("DGL", seed=9)
    config |= {"run": "elsewhere", "wandb": {"mode": "online"}}
    path = write_run(runs / "deep" / "er", make_result(random_ranks(9), PIDS), method="DGL", seed=9)
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    assert the_table(compare_folders([runs])).groups[1].seeds == (0, 1, 2, 9)


CHANGES = [
    ("data hash", {"hashes": {"data": "e" * 64, "bags": "b" * 64}}),
    ("bags hash", {"hashes": {"data": "d" * 64, "bags": "c" * 64}}),
]


@pytest.mark.parametrize(("term", "change"), CHANGES)
def test_other_data_or_bags_are_not_mixed(runs, term, change):
    change_results(runs / "DGL2", **change)
    found = compare_folders([runs])
    assert list(found.differing) == [term]
    assert len(set(found.differing[term])) == 2
    assert [[group.seeds for group in table.groups] for table in found.tables] == [[(0,), (0, 1), (1, 2)], [(2,)]]


@pytest.mark.parametrize(
    ("term", "value"),
    [("metric", "euclidean"), ("ap", "trapezoid"), ("junk", "none"), ("rerank", "k-reciprocal"), ("n_gallery", 9)],
)
def test_other_definitions_are_not_mixed(runs, term, value):
    result = make_result(random_ranks(2, 15), PIDS, **{term: value})
    write_run(runs / "DGL2", result, method="DGL", seed=2)
    found = compare_folders([runs], "BagCE")
    assert list(found.differing) == [term]
    assert [len(table.groups) for table in found.tables] == [3, 1]
    alone = found.tables[1]
    assert alone.baseline is None
    assert alone.groups[0].against is None
    assert any("baseline is not in this table" in note for note in alone.notes)


def test_another_number_of_queries_is_not_mixed(runs):
    write_run(runs / "DGL2", make_result([[0]], [3]), method="DGL", seed=2)
    assert list(compare_folders([runs]).differing) == ["n_query"]


def test_other_queries_of_the_same_number_are_not_mixed(runs):
    write_run(runs / "DGL2", make_result(random_ranks(2, 15), [*PIDS[:-1], 77]), method="DGL", seed=2)
    found = compare_folders([runs])
    assert list(found.differing) == ["queries"]
    assert len(found.tables) == 2


def test_the_same_experiment_and_seed_counts_once(runs):
    write_run(runs / "z", make_result(random_ranks(5, 15), PIDS), method="DGL", seed=2)
    found = compare_folders([runs])
    assert the_table(found).groups[1].seeds == (0, 1, 2)
    assert [(each.path.name, "same experiment and seed" in each.reason) for each in found.left_out] == [("z", True)]
    assert str(runs / "DGL2") in found.left_out[0].reason


def test_unfinished_and_damaged_runs_are_listed_with_a_reason(runs):
    write_run(runs / "unfinished")
    (write_run(runs / "cut", make_result([[0]])) / "results.json").write_text("{")
    (write_run(runs / "noconfig") / "config.yaml").write_text("- 3")
    (write_run(runs / "ranks", make_result([[0]])) / "retrieval.npz").write_bytes(b"x")
    found = compare_folders([runs])
    reasons = {each.path.name: each.reason for each in found.left_out}
    assert set(reasons) == {"unfinished", "cut", "noconfig", "ranks"}
    assert "not finished" in reasons["unfinished"]
    assert "results.json: cannot be read" in reasons["cut"]
    assert "no configuration of a run" in reasons["noconfig"]
    assert "retrieval.npz" in reasons["ranks"]
    assert len(the_table(found).groups) == 3


def test_nothing_finished_is_an_empty_comparison(tmp_path):
    write_run(tmp_path / "a")
    found = compare_folders([tmp_path])
    assert found.tables == ()
    assert len(found.left_out) == 1
    with pytest.raises(ConfigError, match="There are: none"):
        compare_folders([tmp_path], "DGL")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no run in it"):
        compare_folders([tmp_path / "empty"])


def test_without_ranks_there_is_a_mean_and_no_interval(runs):
    (runs / "DGL1" / "retrieval.npz").unlink()
    table = the_table(compare_folders([runs], "BagCE"))
    dgl = table.groups[1]
    assert dgl.mean_ap == pytest.approx(naive_map((0, 1, 2), 15))
    assert dgl.map_interval is dgl.r1_interval is dgl.against is None
    assert any("No interval" in note and "DGL" in note for note in table.notes)


def test_what_a_reader_must_know_is_said(runs):
    change_results(runs / "DGL1", notes=["NO OPTIMISER STEP WAS TAKEN"], git_commit="feed", labelled_val_ids=4)
    change_results(runs / "BagCE1", versions={"wsreid": "1", "torch": "3"})
    (runs / "DGL0" / "config-resume.yaml").write_text(yaml.safe_dump(make_config("DGL", 0)))
    (runs / "DGL2" / "config.yaml").write_text(yaml.safe_dump(make_config("DGL", 2, lr=9)))
    (runs / "DGL2" / "config-resume.yaml").write_text(yaml.safe_dump(make_config("DGL", 2)))
    for name in ("DGL0", "DGL2"):
        (runs / name / "metrics.csv").write_text("epoch,step,test/mAP_step\n0,1,0.5\n")
    notes = "\n".join(the_table(compare_folders([runs])).notes)
    for part in (
        "Used truth, the image-level identities: Oracle.",
        "Labelled validation identities used: 0 to 4, NOT THE SAME",
        "Oracle (1, 2); BagCE (0) lack them",
        "One seed alone, so how another run would differ is not known: Oracle.",
        "DGL seed 2 was resumed with other options",
        "DGL seed 1: NO OPTIMISER STEP WAS TAKEN",
        "2 commits of the code: abc, feed",
        "2 versions of torch: 2, 3",
    ):
        assert part in notes, part
    assert "DGL seed 0 was resumed" not in notes


def test_terms_that_are_not_recorded_are_told(runs):
    for path in runs.iterdir():
        change_results(path, hashes={"data": "d" * 64})
    notes = the_table(compare_folders([runs])).notes
    assert notes[0] == "Not recorded, so whether the runs share it cannot be told: bags hash."
