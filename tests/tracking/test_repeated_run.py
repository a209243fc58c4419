"""What two goes of a run do not agree on."""

import json

import pytest

from tests.tracking.run_folders import change_results, make_result, write_run
from wsreid.errors import DataError
from wsreid.tracking.provenance import PROVENANCE_FILE, read_provenance, write_provenance
from wsreid.tracking.recorded_run import read_run
from wsreid.tracking.repeated_run import Difference, differences

FACTS = {"versions": {"torch": "2"}, "hashes": {"data": "a" * 64}, "git_commit": "abc", "threads": 2, "gpu": None}


@pytest.fixture
def two(tmp_path):
    """Two equal run folders."""
    folders = [write_run(tmp_path / name, make_result([[0], [3, 5]])) for name in ("one", "two")]
    for folder in folders:
        write_provenance(folder / PROVENANCE_FILE, FACTS)
    return folders


def found(folders):
    return differences(*(read_run(folder) for folder in folders))


def test_equal_runs_have_no_differences_and_their_seconds_do_not_count(two):
    content = json.loads((two[1] / "results.json").read_text())
    content["rows"][0]["seconds"] = 1e6
    change_results(two[1], rows=content["rows"])
    assert found(two) == []


def test_what_a_run_was_made_of_comes_first(two):
    (two[1] / "metrics.csv").write_text("epoch,step,train/loss,val/mAP_step\n0,1,2.5,\n0,2,,0.25\n1,4,2.25,0.75\n")
    new = {"versions": {"torch": "3", "numpy": "1"}, "hashes": {"data": "b" * 64}, "threads": 4, "gpu": None}
    write_provenance(two[1] / PROVENANCE_FILE, FACTS | new)
    assert found(two) == [
        Difference("made of", "torch", "2", "3"),
        Difference("made of", "numpy", "(none)", "1"),
        Difference("made of", "hash of data", "a" * 12, "b" * 12),
        Difference("made of", "threads", "2", "4"),
        Difference("curve", "train/loss, epoch 1, step 4", "2.0", "2.25"),
        Difference("curve", "val/mAP_step, epoch 1, step 4", "0.5", "0.75"),
    ]


def test_a_curve_parts_at_its_first_row(two):
    (two[1] / "metrics.csv").write_text("epoch,step,train/loss,val/R1\n0,1,2.25,\n0,2,3.0,1\n")
    assert found(two) == [
        Difference("curve", "val/mAP_step", "logged", "(none)"),
        Difference("curve", "val/R1", "(none)", "logged"),
        Difference("curve", "rows", "3", "2"),
        Difference("curve", "train/loss, epoch 0, step 1, and 1 more", "2.5", "2.25"),
    ]


def test_the_smallest_difference_of_a_result_counts(two):
    content = json.loads((two[1] / "results.json").read_text())
    value = content["rows"][0]["R1"]
    content["rows"][0]["R1"] = value + 1e-15
    change_results(two[1], rows=content["rows"])
    make_result([[0], [3, 6]]).save(two[1] / "retrieval.npz")
    name = "BagCE, last checkpoint: R1"
    assert found(two) == [
        Difference("result", name, str(value), str(value + 1e-15)),
        Difference("result", "ranks of the matches", "-", "others for 1 of 2 queries"),
    ]
    change_results(two[1], rows=[content["rows"][0], content["rows"][0]])
    assert Difference("result", "rows of the closing table", "1", "2") in found(two)


def test_a_run_without_a_test_is_compared_by_its_curve(two):
    for name in ("results.json", "retrieval.npz"):
        (two[0] / name).unlink()
    assert [each.name for each in found(two)] == ["rows of the closing table"]


def test_of_an_older_run_the_results_tell_what_it_was_made_of(two):
    (two[0] / PROVENANCE_FILE).unlink()
    assert read_provenance(two[0]) == {}
    assert {(each.kind, each.name) for each in found(two)} == {
        ("made of", "wsreid"),
        ("made of", "hash of data"),
        ("made of", "hash of bags"),
    }
    (two[0] / PROVENANCE_FILE).write_text("{")
    with pytest.raises(DataError, match=r"provenance\.json: cannot be read"):
        found(two)
