import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.study.conftest import write_finished
from wsreid.errors import ConfigError, DataError
from wsreid.study.carry_out import carry_out, forget
from wsreid.study.claims import at_work, claim
from wsreid.study.plan import PlannedRun, planned_runs

FAKE = """
import sys
from pathlib import Path
folder, code = Path(sys.argv[1]), int(sys.argv[2])
assert sys.argv[3] == "resume" or not folder.exists()
folder.mkdir(parents=True, exist_ok=True)
(folder / sys.argv[3]).touch()
print("the reason")
sys.exit(code)
"""


@pytest.fixture
def runs(study, folder, monkeypatch):
    """Three runs; that of BagCE fails."""

    def command(self, *, resume=False):
        code = "4" if self.label == "BagCE" else "0"
        return [sys.executable, "-c", FAKE, str(self.folder), code, "resume" if resume else "new"]

    monkeypatch.setattr(PlannedRun, "command", command)
    return planned_runs(study, folder / "out")[:3]


def outcomes(runs, recorded=None, record=lambda run: "mAP 1", stop=lambda: False):
    return list(carry_out(runs, recorded or {}, at_once=1, threads=1, record=record, stop=stop))


def test_what_is_recorded_does_not_run_and_the_rest_does(runs):
    recorded = []
    found = outcomes(runs, {runs[0].key: runs[0].hash}, lambda run: recorded.append(run) or "mAP 1")
    assert [outcome.run.label for outcome in found] == ["BagCE", "dgl_official"]
    assert recorded == [runs[2]]
    assert not runs[0].folder.exists()
    assert "exit code 4" in found[0].problem
    assert str(runs[1].log) in found[0].problem
    assert found[0].problem.endswith("    the reason")
    assert (found[1].problem, found[1].figures) == (None, "mAP 1")


def test_a_run_with_a_checkpoint_resumes_and_one_without_starts_anew(runs):
    (runs[0].folder / "checkpoints").mkdir(parents=True)
    (runs[0].folder / "checkpoints" / "last.ckpt").touch()
    runs[2].folder.mkdir(parents=True)
    (runs[2].folder / "config.yaml").touch()
    outcomes([runs[0], runs[2]])
    assert (runs[0].folder / "resume").exists()
    assert (runs[2].folder / "new").exists()
    assert not (runs[2].folder / "config.yaml").exists()


def test_a_run_that_ended_unrecorded_is_recorded_without_running(runs):
    write_finished(runs[1].folder)
    recorded = []
    (found,) = outcomes([runs[1]], record=recorded.append)
    assert recorded == [runs[1]]
    assert (found.problem, found.seconds) == (None, 0)
    assert not runs[1].log.exists()


def test_a_run_that_cannot_be_recorded_is_a_problem(runs):
    def record(run):
        raise DataError("results.json is missing")

    assert [outcome.problem for outcome in outcomes(runs[:1], record=record)] == ["results.json is missing"]


def test_nothing_starts_once_asked_to_stop(runs):
    assert outcomes(runs, stop=lambda: True) == []


def test_a_forgotten_run_starts_anew(runs):
    write_finished(runs[0].folder)
    runs[0].cost_file.write_text("{}")
    runs[0].log.write_text("of the first go")
    assert forget(runs) == [runs[0].folder]
    assert not runs[0].folder.exists()
    assert not runs[0].cost_file.exists()
    assert not runs[0].log.exists()


HOLDER = """
import sys, time
from pathlib import Path
from wsreid.tracking.run_folder import RunFolder
folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
with RunFolder(folder).claimed(new=True):
    (folder / "config.yaml").touch()
    print("held", flush=True)
    time.sleep(seconds)
    if len(sys.argv) > 3:
        from tests.study.conftest import write_finished
        write_finished(folder)
"""


def held(run, seconds, *more):
    """A run that a study has left behind."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.folder), str(seconds), *more],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_run_that_is_alive_is_waited_for_and_recorded(runs):
    runs[0].folder.parent.mkdir(parents=True)
    runs[0].cost_file.write_text(json.dumps({"seconds": 3, "peak_mib": 1, "open": True}))
    process, said, recorded = held(runs[0], 4, "finishes"), [], []

    def record(run):
        recorded.append(run)
        return ""

    try:
        pair = [runs[0], runs[2]]
        found = list(carry_out(pair, {}, at_once=1, threads=1, record=record, stop=lambda: False, say=said.append))
    finally:
        process.kill()
    assert recorded == [runs[2], runs[0]]
    assert [outcome.problem for outcome in found] == [None, None]
    assert (runs[0].folder / "config.yaml").exists()  # its folder was never touched
    assert not runs[0].log.exists()
    assert len(said) == 1
    assert f"{runs[0].name} still runs (pid {process.pid}" in said[0]
    assert json.loads(runs[0].cost_file.read_text())["open"]  # so that its cost counts as not known


def test_a_run_that_is_alive_and_dies_is_carried_out(runs):
    process = held(runs[0], 1)
    assert [outcome.problem for outcome in outcomes(runs[:1])] == [None]
    assert process.wait(60) == 0
    assert (runs[0].folder / "new").exists()


def test_asked_to_stop_it_waits_no_longer(runs):
    process, start = held(runs[0], 60), time.monotonic()
    try:
        assert outcomes(runs[:1], stop=lambda: time.monotonic() > start + 1) == []
    finally:
        process.kill()
    assert (runs[0].folder / "config.yaml").exists()


def test_two_studies_share_the_runs(runs, folder):
    pair = [runs[0], runs[2]]
    mine = claim(runs[0])
    theirs = carry_out(pair, {}, at_once=1, threads=1, record=lambda run: "", stop=lambda: False)
    assert next(theirs).run == runs[2]
    assert at_work(runs[0]) == f"{runs[0].name} is carried out by another study process"
    write_finished(runs[0].folder)
    mine.release()
    assert [(outcome.run, outcome.seconds) for outcome in theirs] == [(runs[0], 0)]


def test_nothing_is_forgotten_while_it_runs(runs):
    process = held(runs[0], 60)
    write_finished(runs[1].folder)
    try:
        with pytest.raises(ConfigError, match=r"Nothing was removed: .* still runs \(pid"):
            forget(runs)
    finally:
        process.kill()
    assert (runs[0].folder / "config.yaml").exists()
    assert (runs[1].folder / "results.json").exists()
