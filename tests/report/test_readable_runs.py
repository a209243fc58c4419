import pytest

from tests.tracking.run_folders import make_result, write_run
from wsreid.errors import DataError
from wsreid.report.readable_runs import readable_runs


@pytest.fixture
def whole(tmp_path):
    return write_run(tmp_path / "whole", make_result([[0], [1]]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.json", b"{"),
        ("retrieval.npz", b"PK"),
        ("metrics.csv", b"epoch,step,val/R1\n0,1,<b>x</b>\n"),
        ("diagnostics.csv", b"epoch,group,raw\n0,all,high\n"),
    ],
)
def test_a_damaged_run_is_left_out_by_name_and_stops_no_other(whole, tmp_path, name, content):
    bad = write_run(tmp_path / "bad", make_result([[0], [1]]), seed=1)
    (bad / name).write_bytes(content)
    runs, left_out = readable_runs([whole, bad])
    assert [run.path for run in runs] == [whole]
    assert len(left_out) == 1
    assert left_out[0].startswith("Left out: ")
    assert str(bad / name) in left_out[0]


def test_names_of_groups_are_no_damage(whole):
    (whole / "diagnostics.csv").write_text("epoch,group,raw,confused_pairs\n0,all,0.5,1>2:3\n0,bag size 2,,\n")
    assert readable_runs([whole])[1] == []


def test_without_any_run_there_is_no_report(whole):
    (whole / "config.yaml").write_text("[")
    with pytest.raises(DataError, match=r"no run can be read(.|\n)*config\.yaml"):
        readable_runs([whole])
