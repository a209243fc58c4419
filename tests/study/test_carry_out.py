import sys

import pytest

from tests.study.conftest import write_finished
from wsreid.errors import DataError
from wsreid.study.carry_out import carry_out, forget
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
    assert forget(runs) == [runs[0].folder]
    assert not runs[0].folder.exists()
    assert not runs[0].cost_file.exists()
