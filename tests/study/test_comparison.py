import pytest

from tests.study.conftest import with_texts
from wsreid.study.comparison import compare
from wsreid.study.plan import planned_runs
from wsreid.study.table import failure, remarks

AP = {"Oracle": (0.9, 0.7), "BagCE": (0.3, 0.1), "dgl_official": (0.6, 0.4)}


@pytest.fixture
def runs(study, folder):
    return planned_runs(study, folder)


@pytest.fixture
def records(runs, make_record):
    """All runs; seed 1 is 10 points better."""
    made = (make_record(r.label, r.setting, r.seed, tuple(a + 0.1 * r.seed for a in AP[r.label]), r.hash) for r in runs)
    return {record.key: record for record in made}


def test_lines_are_ordered_and_figures_are_over_the_seeds(study, runs, records):
    first, second = compare(study, runs, records)
    assert (first.setting, second.setting) == ("n2", "n4")
    assert [line.label for line in first.lines] == ["Oracle", "dgl_official", "BagCE"]
    dgl = first.lines[1]
    assert dgl.numbers["mAP_step"].mean == pytest.approx(55)
    assert dgl.numbers["mAP_step"].deviation == pytest.approx(10 / 2**0.5)
    assert dgl.map_interval.value == pytest.approx(55)
    assert dgl.r1_interval.value == pytest.approx(50)
    assert [line.gap_closed for line in first.lines] == pytest.approx([100, 50, 0])
    assert dgl.against.value == pytest.approx(30)
    assert dgl.against.excludes_zero
    assert first.lines[2].against is None
    assert [line.truth for line in first.lines] == [True, False, False]
    assert (first.missing, first.notes) == ((), ())
    assert all(line.missing == () for line in first.lines)


def test_missing_and_outdated_runs_are_told(study, runs, records, make_record):
    del records["n2", "Oracle", "0"], records["n2", "Oracle", "1"], records["n2", "dgl_official", "0"]
    records["n2", "BagCE", "1"] = make_record("BagCE", seed=1, digest="old")
    table = compare(study, runs, records)[0]
    assert table.missing == ("Oracle",)
    dgl, bagce = table.lines
    assert (dgl.seeds, dgl.missing) == ((1,), (0,))
    assert (bagce.seeds, bagce.missing) == ((0,), (1,))
    assert dgl.gap_closed is None
    assert dgl.against is None  # no seed in common
    assert dgl.numbers["mAP_step"].deviation is None
    assert any("configuration has changed" in note and "BagCE seed 1" in note for note in table.notes)
    assert compare(study, runs, records)[1].notes == ()


def test_failed_runs_are_told_from_those_that_are_not_yet_run(study, runs, records):
    del records["n2", "Oracle", "0"], records["n2", "Oracle", "1"], records["n4", "BagCE", "1"]
    failed = [("n2", "Oracle", "1"), ("n4", "BagCE", "1"), ("n4", "Oracle", "0")]
    n2, n4 = compare(study, runs, records, failed)
    assert (n2.missing, n2.failed) == (("Oracle",), {"Oracle": (1,)})
    assert n4.failed == {"BagCE": (1,)}  # Oracle's is recorded
    assert "Failed: Oracle (seeds 1)." in remarks(study, n2)
    assert "Seeds still missing: Oracle (seeds 0)." in remarks(study, n2)
    assert "Failed: BagCE (seeds 1)." in remarks(study, n4)
    assert not any(line.startswith("Seeds still missing") for line in remarks(study, n4))
    assert not any(line.startswith("Not yet run") for line in remarks(study, n2))
    assert failure(compare(study, runs, records)[0]) == ""


def test_the_difference_is_over_the_seeds_that_both_have(study, runs, records):
    del records["n2", "BagCE", "0"]
    dgl = next(line for line in compare(study, runs, records)[0].lines if line.label == "dgl_official")
    assert dgl.against.value == pytest.approx(30)  # with seed 0 of its own alone it would be 25


def test_an_oracle_below_the_baseline_closes_nothing(study, runs, records, make_record):
    for seed, run in ((run.seed, run) for run in runs if run.label == "Oracle"):
        records[run.key] = make_record("Oracle", run.setting, seed, (0.0, 0.0), run.hash)
    assert {line.gap_closed for line in compare(study, runs, records)[0].lines} == {None}


def test_what_makes_runs_unlike_is_told(study, runs, records, make_record):
    key = ("n2", "BagCE", "0")
    records[key] = with_texts(
        make_record(seed=0, digest=records[key].hash, images=128), data_hash="other", bags_hash="b", git_commit="c"
    )
    notes = " ".join(compare(study, runs, records)[0].notes)
    assert "NOT THE SAME DATA for all runs: hashes other, t" in notes
    assert "NOT THE SAME BAGS" in notes
    assert "64 to 96" in notes
    assert "2 commits" in notes


def test_runs_beyond_the_stated_limit_are_told(write_study, folder, recorded):
    from wsreid.study.study_file import read_study

    study = read_study(write_study(limit_s=19))
    runs = planned_runs(study, folder)
    records = recorded(runs)
    notes = compare(study, runs, records)[0].notes
    assert len(notes) == 1
    assert "stated 19 s" in notes[0]
    assert "BagCE seed 0 (20 s)" in notes[0]
