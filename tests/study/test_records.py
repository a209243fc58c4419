import json

import pytest

from tests.study.conftest import with_texts, write_finished
from wsreid.errors import DataError
from wsreid.study.plan import planned_runs
from wsreid.study.records import Records, RunRecord, has_failed, record_of


def test_what_is_written_is_read_again(make_record, tmp_path):
    records = Records(tmp_path / "new" / "s")
    assert records.load() == {}
    first = make_record(seed=10, refine_raw=None, R1=12.5, ap=(1 / 3, 0.25))
    second = with_texts(make_record(label="Oracle, large", seed=2), needs="2 views, ema")
    records.add(first)
    records.add(second)
    found = records.load()
    assert set(found) == {first.key, second.key}
    assert found[second.key] == second
    again = found[first.key]
    assert again.numbers["refine_raw"] is None
    assert again.numbers["R1"] == 12.5
    assert again.identities.ap == pytest.approx(first.identities.ap, abs=1e-5)


def test_a_record_of_the_same_run_is_replaced_and_the_order_is_fixed(make_record, tmp_path):
    records = Records(tmp_path)
    for seed in (10, 2):
        records.add(make_record(seed=seed))
    records.add(make_record(seed=2, digest="new", R1=1.0))
    lines = (tmp_path / "runs.csv").read_text().splitlines()
    assert [line.split(",")[3:5] for line in lines[1:]] == [["2", "new"], ["10", "h"]]
    assert records.load()["n2", "BagCE", "2"].numbers["R1"] == 1.0
    assert len((tmp_path / "identities.json").read_text().splitlines()) == 4  # a line a run
    records.drop([("n2", "BagCE", "2"), ("not", "there", "1")])
    assert set(records.load()) == {("n2", "BagCE", "10")}


def test_a_row_whose_identities_are_of_another_run_is_no_record(make_record, tmp_path):
    records = Records(tmp_path)
    records.add(make_record(seed=0))
    records.add(make_record(seed=1))
    path = tmp_path / "identities.json"
    content = json.loads(path.read_text())
    content["n2/BagCE/1"]["hash"] = "later"
    path.write_text(json.dumps(content))
    assert set(records.load()) == {("n2", "BagCE", "0")}


def test_damaged_records_are_named(make_record, tmp_path):
    records = Records(tmp_path)
    records.add(make_record())
    (tmp_path / "runs.csv").write_text((tmp_path / "runs.csv").read_text().replace("50", "fifty"))
    with pytest.raises(DataError, match=r"runs\.csv: damaged.*git"):
        records.load()
    (tmp_path / "identities.json").write_text("{")
    with pytest.raises(DataError, match=r"identities\.json: cannot be read"):
        records.load()


@pytest.mark.parametrize("mark", ["open", "incomplete"])
def test_a_cost_that_was_not_measured_to_its_end_is_not_known(study, folder, mark):
    run = planned_runs(study, folder)[1]
    write_finished(run.folder)
    run.cost_file.write_text(json.dumps({"seconds": 21.5, "peak_mib": 800, mark: True}))
    record = record_of(run, threads=2)
    assert (record.numbers["total_seconds"], record.numbers["peak_mib"]) == (None, None)
    assert RunRecord.of_cells(record.cells(), record.identities).numbers["peak_mib"] is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, False),
        ('{"seconds": 2, "failed": true}', True),
        ('{"seconds": 2, "failed": false}', False),
        ('{"seconds": 2}', False),
        ('{"failed": true, "open": true}', False),
        ("{", False),
    ],
)
def test_what_lies_beside_a_run_says_whether_it_failed(study, folder, content, expected):
    run = planned_runs(study, folder)[1]
    if content is not None:
        run.cost_file.parent.mkdir(parents=True)
        run.cost_file.write_text(content)
    assert has_failed(run) is expected


def test_a_finished_run_is_read(study, folder):
    run = planned_runs(study, folder)[1]
    write_finished(run.folder, ap=0.25)
    run.cost_file.write_text(json.dumps({"seconds": 21.5, "peak_mib": 800}))
    record = record_of(run, threads=2)
    assert record.key == run.key
    assert (record.hash, record.method, record.threads, record.used_truth) == (run.hash, "BagCE", 2, False)
    assert record.numbers["mAP_step"] == 25.0
    assert record.numbers["R1"] == 50.0
    assert record.numbers["refine_raw"] is None
    costs = [record.numbers[name] for name in ("fit_seconds", "total_seconds", "peak_mib", "steps", "images")]
    assert costs == [3.5, 21.5, 800, 4, 64]
    assert dict(record.texts) == {
        "learns_from": "bag labels",
        "needs": "ema",
        "data_hash": "d" * 12,
        "bags_hash": "b" * 12,
        "git_commit": "abc",
        "versions": "wsreid 1 torch 2",
    }
    assert record.identities.ap == (0.25, 0.75)


def test_a_run_that_lacks_something_is_named(study, folder):
    run = planned_runs(study, folder)[0]
    with pytest.raises(DataError, match=r"results\.json"):
        record_of(run, threads=1)
    write_finished(run.folder)
    (run.folder / "study.json").write_text('{"steps": 1, "images": 2, "learns_from": "", "needs": ""}')
    with pytest.raises(DataError, match=r"lacks 'identities'.*Remove the folder"):
        record_of(run, threads=1)
