import json

import pytest

from wsreid.errors import DataError
from wsreid.study.plan import planned_runs
from wsreid.study.trial_records import TrialRecord, TrialRecords, last_value, trial_record_of


def made(trial=0, score=0.25, label="A", digest="h"):
    options = {"model.lr": 0.1, "model.scheduler": None, "model.pool": "max, or so"}
    return TrialRecord(("n2", label, str(trial), "100"), digest, score, 12.5, 64, options, "c")


def test_what_is_written_is_read_again(tmp_path):
    records = TrialRecords(tmp_path / "tuning")
    assert records.load() == {}
    records.drop([made().key])
    for trial in (10, 2):
        records.add(made(trial))
    assert records.load() == {made(2).key: made(2), made(10).key: made(10)}
    assert list(records.load()) == [made(2).key, made(10).key]
    records.add(made(2, score=0.5, digest="new"))
    assert records.load()[made(2).key].score == 0.5
    records.drop([made(10).key])
    assert list(records.load()) == [made(2).key]
    path = tmp_path / "tuning" / "trials.csv"
    path.write_text(path.read_text().replace("0.500000", "half"))
    with pytest.raises(DataError, match=r"trials\.csv: damaged"):
        records.load()


def test_the_score_is_the_last_value_of_a_column(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,val/mAP_step,train/loss\n0,1,0.3,\n0,1,,2.0\n1,3,0.2,\n1,3,,1.0\n")
    assert last_value(path, "val/mAP_step") == 0.2
    for column in ("val/R1", "train"):
        with pytest.raises(DataError, match=r"no value of .*check_val_every_n_epoch.*val_fraction"):
            last_value(path, column)
    with pytest.raises(DataError, match=r"other\.csv"):
        last_value(tmp_path / "other.csv", "a")


def test_a_finished_trial_is_read(study, folder):
    run = planned_runs(study, folder)[0]
    run.folder.mkdir(parents=True)
    (run.folder / "metrics.csv").write_text("epoch,step,m\n0,1,0.3\n")
    (run.folder / "study.json").write_text(json.dumps({"images": 64, "git_commit": None}))
    record = trial_record_of(run, {"model.lr": 1}, "m")
    assert record == TrialRecord(run.key, run.hash, 0.3, None, 64, {"model.lr": 1}, "")
    run.cost_file.write_text(json.dumps({"seconds": 3.0}))
    assert trial_record_of(run, {}, "m").seconds == 3.0
