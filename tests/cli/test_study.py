import csv
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import pytest
import yaml

from wsreid.cli import study
from wsreid.errors import ConfigError, WsreidError
from wsreid.retrieval.result import RetrievalResult
from wsreid.study.plan import PlannedRun, planned_runs

ROOT = Path(__file__).parents[2]
FAKE = """
import json, sys
from pathlib import Path
folder, seed, figures = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
if figures is None:
    sys.exit("the learning rate is too high")
sys.path.insert(0, {root!r})
from tests.study.conftest import write_finished
write_finished(folder, seed, figures + seed / 10)
with open("calls", "a") as file:
    print(folder.parent.name, seed, *sys.argv[4:], file=file)
"""
AP = {"good": 0.6, "bad": 0.2}


@pytest.fixture(autouse=True)
def _own_methods(monkeypatch):
    monkeypatch.setenv("WSREID_ALLOW", "tests")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a study whose runs take no time; `AP` by label says what they find, None = they fail."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    for name in ("good", "bad"):
        (tmp_path / "configs" / f"{name}.yaml").write_text(f"model: {{class_path: my.{name.title()}}}")
    methods = [{"method": name, "label": name} for name in ("good", "bad")]
    content = {"configs": "configs", "methods": methods, "seeds": [0, 1], "reference": "bad"}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content))
    fake = FAKE.format(root=str(ROOT))

    def command(self, *, resume=False):
        found = json.dumps(AP[self.label])
        return [sys.executable, "-c", fake, str(self.folder), str(self.seed), found, *(["again"] if resume else [])]

    monkeypatch.setattr(PlannedRun, "command", command)
    return tmp_path


def calls(folder):
    path = folder / "calls"
    text = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    return sorted(text.splitlines())


def labels(finished):
    return [line.label for line in finished.results[0].lines]


def test_all_runs_are_run_and_a_table_stands_at_the_end(folder, capsys):
    found = study.run(["s.yaml", "--jobs", "2"])
    assert labels(found) == ["good", "bad"]
    assert calls(folder) == ["bad 0", "bad 1", "good 0", "good 1"]
    results = folder / "experiments" / "results" / "s"
    assert {path.name for path in found.files} == {"table.md", "table.csv"}
    rows = list(csv.DictReader((results / "runs.csv").open()))
    assert [(row["label"], row["seed"], row["mAP_step"]) for row in rows] == [
        *(("bad", "0", "20"), ("bad", "1", "30")),
        *(("good", "0", "60"), ("good", "1", "70")),
    ]
    assert {row["threads"] for row in rows} == {str(max(1, study.cores() // 2))}
    assert "| good | bag labels | ema | 65.0 ± 7.1 |" in (results / "table.md").read_text()
    out = capsys.readouterr().out
    assert "s: 4 runs, 0 recorded already." in out
    assert "[4/4]" in out
    assert out.count("left") == 3  # behind each run but the last


def test_what_is_recorded_is_not_run_again_even_without_its_folder(folder, capsys):
    study.run(["s.yaml"])
    shutil.rmtree(folder / "runs")
    calls(folder)
    found = study.run(["s.yaml"])
    assert calls(folder) == []
    assert found.outcomes == ()
    assert labels(found) == ["good", "bad"]
    assert "4 recorded already" in capsys.readouterr().out


def test_the_run_to_start_from_is_made_once_and_not_where_nothing_is_left(folder, monkeypatch):
    monkeypatch.setitem(AP, "start", 0.1)
    content = yaml.safe_load(Path("s.yaml").read_text()) | {"start": {"config": "configs/good.yaml"}}
    Path("s.yaml").write_text(yaml.safe_dump(content))
    study.run(["s.yaml"])
    assert calls(folder) == ["bad 0", "bad 1", "good 0", "good 1", "start 0"]
    study.run(["s.yaml", "--again", "bad"])
    assert calls(folder) == ["bad 0", "bad 1"]
    shutil.rmtree("runs/studies/start")
    study.run(["s.yaml"])
    assert calls(folder) == []


@pytest.mark.slow
def test_a_changed_configuration_runs_again_and_says_so(folder, capsys):
    study.run(["s.yaml"])
    calls(folder)
    (folder / "configs" / "bad.yaml").write_text("model: {class_path: my.Bad, init_args: {lr: 1}}")
    assert labels(study.run(["s.yaml", "--table"])) == ["good"]
    capsys.readouterr()
    study.run(["s.yaml", "--dry_run"])
    assert capsys.readouterr().out.count("to run, its configuration has changed") == 2
    study.run(["s.yaml"])
    assert calls(folder) == ["bad 0", "bad 1"]
    assert "default bad seed 1: its configuration has changed" in capsys.readouterr().out
    assert len(list(csv.DictReader((folder / "experiments/results/s/runs.csv").open()))) == 4


def test_a_failed_run_does_not_stop_the_rest_and_is_named_at_the_end(folder, monkeypatch, capsys):
    monkeypatch.setitem(AP, "good", None)
    with pytest.raises(WsreidError, match=r"2 of 4 runs failed") as error:
        study.run(["s.yaml"])
    assert "default good seed 1 ended with exit code 1" in str(error.value)
    assert str(error.value).count("    the learning rate is too high") == 2
    assert calls(folder) == ["bad 0", "bad 1"]
    out = capsys.readouterr().out
    assert "Failed: good (seeds 0 1)." in out
    assert "Not yet run" not in out
    assert out.count("FAILED") == 2
    study.run(["s.yaml", "--table"])
    assert "Failed: good (seeds 0 1)." in capsys.readouterr().out
    assert "Failed: good (seeds 0 1)." in (folder / "experiments/results/s/table.md").read_text()
    monkeypatch.setitem(AP, "good", 0.5)
    assert labels(study.run(["s.yaml"])) == ["good", "bad"]
    assert calls(folder) == ["good 0", "good 1"]
    assert "Failed" not in capsys.readouterr().out


def test_where_all_runs_have_failed_it_is_said_in_place_of_a_table(folder, monkeypatch, capsys):
    monkeypatch.setitem(AP, "good", None)
    with pytest.raises(WsreidError, match="2 of 2 runs failed"):
        study.run(["s.yaml", "--only", "good"])
    capsys.readouterr()
    study.run(["s.yaml", "--table"])
    out = capsys.readouterr().out
    assert "No run of s is recorded yet" in out
    assert "default: Failed: good (seeds 0 1)." in out


def test_a_run_that_cannot_be_recorded_has_failed(folder, monkeypatch, capsys):
    write = "import pathlib, sys; f = pathlib.Path(sys.argv[1]); f.mkdir(parents=True); (f / 'results.json').touch()"

    def command(self, *, resume=False):
        return [sys.executable, "-c", write, str(self.folder)]

    monkeypatch.setattr(PlannedRun, "command", command)
    with pytest.raises(WsreidError, match="2 of 2 runs failed"):
        study.run(["s.yaml", "--only", "bad"])
    assert "default: Failed: bad (seeds 0 1)." in capsys.readouterr().out
    for file in folder.glob("runs/studies/s/default/bad/*.json"):
        file.write_text("{")
    with pytest.raises(WsreidError, match="2 of 2 runs failed"):  # and no other error
        study.run(["s.yaml", "--only", "bad"])


def test_a_killed_run_resumes(folder, capsys):
    planned = planned_runs(study.read_study(Path("s.yaml")), Path("runs/studies"))[0]
    (planned.folder / "checkpoints").mkdir(parents=True)
    (planned.folder / "checkpoints" / "last.ckpt").touch()
    study.run(["s.yaml", "--dry_run"])
    assert capsys.readouterr().out.count("--ckpt_path last") == 1
    study.run(["s.yaml", "--dry_run", "--again", "good"])  # which removes what is there
    out = capsys.readouterr().out
    assert "default good seed 0: to run" in out
    assert "--ckpt_path" not in out
    study.run(["s.yaml"])
    assert calls(folder) == ["bad 0", "bad 1", "good 0 again", "good 1"]


@pytest.mark.slow
def test_some_methods_alone_and_again(folder, monkeypatch):
    found = study.run(["s.yaml", "--only", "good"])
    assert calls(folder) == ["good 0", "good 1"]
    assert found.results[0].missing == ("bad",)
    study.run(["s.yaml"])
    assert calls(folder) == ["bad 0", "bad 1"]
    monkeypatch.setitem(AP, "bad", None)
    with pytest.raises(WsreidError, match="2 of 2 runs failed"):
        study.run(["s.yaml", "--again", "bad"])
    assert labels(study.run(["s.yaml", "--table"])) == ["good"]
    monkeypatch.setitem(AP, "bad", 0.9)
    assert labels(study.run(["s.yaml"])) == ["bad", "good"]
    assert calls(folder) == ["bad 0", "bad 1"]


def test_a_dry_run_runs_nothing(folder, capsys):
    assert study.run(["s.yaml", "--dry_run"]).results == []
    out = capsys.readouterr().out
    commands = [shlex.split(line) for line in out.splitlines() if "wsreid fit" in line]
    folders = [str(each.folder) for each in planned_runs(study.read_study(Path("s.yaml")), Path("runs/studies"))]
    assert [words[words.index("--run") + 1] for words in commands] == folders
    assert all(words[-2:] == ["--allow", "tests"] for words in commands)
    assert "4 runs, 4 of them to run." in out
    assert not (folder / "runs").exists()
    assert not (folder / "experiments").exists()


def test_without_records_there_is_no_table(folder, capsys):
    study.run(["s.yaml", "--table"])
    assert "No run of s is recorded yet" in capsys.readouterr().out
    assert calls(folder) == []


def test_mistakes_are_told_in_one_line(folder):
    with pytest.raises(ConfigError, match=r"--only godo: the study has no such method\. It has good, bad"):
        study.run(["s.yaml", "--only", "godo"])
    with pytest.raises(ConfigError, match="--jobs 0: expected at least 1"):
        study.run(["s.yaml", "--jobs", "0"])
    with pytest.raises(ConfigError, match="did you mean --jobs"):
        study.run(["s.yaml", "--job", "2"])
    with pytest.raises(ConfigError, match="Missing: STUDY"):
        study.run([])


def test_a_sweep_is_written_and_nothing_runs(folder, capsys):
    found = study.run(["s.yaml", "--sweep", "sweeps/s.yaml"])
    assert [str(path) for path in found.files] == [
        *("sweeps/s.yaml", "sweeps/s-configs/default/good.yaml", "sweeps/s-configs/default/bad.yaml")
    ]
    assert "wandb sweep sweeps/s.yaml" in capsys.readouterr().out
    assert calls(folder) == []


TRIAL = """
import json, sys
from pathlib import Path
folder, lr = Path(sys.argv[1]), float(sys.argv[2])
if lr > 5:
    sys.exit("the loss is not finite")
folder.mkdir(parents=True)
(folder / "metrics.csv").write_text(f"epoch,step,val/mAP_step\\n0,1,{lr / 10}\\n")
(folder / "study.json").write_text(json.dumps({"images": 64, "git_commit": "c"}))
"""


class Good:
    """A method whose learning rate is its score; above 5 it fails."""

    search_space: ClassVar = MappingProxyType({"lr": (2, 4)})

    def __init__(self, lr: float = 1) -> None:
        pass


class Bad(Good):
    """The same with a search space that breaks."""

    search_space: ClassVar = MappingProxyType({"lr": (0.5, 8)})


@pytest.fixture
def tuning(folder, monkeypatch):
    """As `folder`, with a study that tunes in `t.yaml`."""

    def command(self, *, resume=False):
        return [sys.executable, "-c", TRIAL, str(self.folder), str(self.options.get("model.lr", 1))]

    monkeypatch.setattr(PlannedRun, "command", command)
    for name in AP:
        (folder / "configs" / f"{name}.yaml").write_text(f"model: {{class_path: {__name__}.{name.title()}}}")
    content = yaml.safe_load((folder / "s.yaml").read_text())
    content |= {"seeds": [100], "reference": None, "tune": {"trials": 3}}
    (folder / "t.yaml").write_text(yaml.safe_dump(content))
    return folder


def test_tuning_keeps_all_trials_and_the_best_serve_another_study(tuning, capsys):
    with pytest.raises(WsreidError, match=r"1 of 6 runs failed[^~]*not finite"):
        study.run(["t.yaml"])
    results = tuning / "experiments" / "results" / "t"
    rows = list(csv.DictReader((results / "trials.csv").open()))
    assert sorted(float(row["score"]) for row in rows) == pytest.approx([0.05, 0.1, 0.1, 0.2, 0.4])
    best = yaml.safe_load((results / "best.yaml").read_text())
    assert best == {"good": {"model.lr": 4}, "bad": {}}
    assert "2 of 3" in (results / "table.md").read_text()
    assert "val/mAP_step 40.0" in capsys.readouterr().out
    content = yaml.safe_load((tuning / "s.yaml").read_text()) | {"tuned": str(results / "best.yaml")}
    (tuning / "s.yaml").write_text(yaml.safe_dump(content))
    study.run(["s.yaml", "--dry_run"])
    lines = [line for line in capsys.readouterr().out.splitlines() if "good.yaml" in line]
    assert len(lines) == 2
    assert all("--model.lr=4" in shlex.split(line) for line in lines)


def test_finished_trials_are_not_run_again_and_tables_are_made_of_records(tuning, capsys):
    found = study.run(["t.yaml", "--only", "good"])
    assert [(each.label, each.trial) for each in found.results] == [("good", found.results[0].trial)]
    assert study.run(["t.yaml", "--only", "good"]).outcomes == ()
    (tuning / "experiments" / "results" / "t" / "best.yaml").unlink()
    again = study.run(["t.yaml", "--table"])
    assert again.results == found.results
    assert (tuning / "experiments" / "results" / "t" / "best.yaml").exists()
    assert len(study.run(["t.yaml", "--again", "good"]).outcomes) == 3
    with pytest.raises(ConfigError, match="--sweep: a tuning study"):
        study.run(["t.yaml", "--sweep", "x.yaml"])


def test_without_trials_there_is_no_table(tuning, capsys):
    assert study.run(["t.yaml", "--table"]).results == []
    assert "No trial of t is recorded yet" in capsys.readouterr().out


SLEEPER = """
import sys
from pathlib import Path
from wsreid.cli import study
from wsreid.study.plan import PlannedRun, planned_runs
sleep = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
PlannedRun.command = lambda self, resume=False: [sys.executable, "-c", sleep, f"begun{self.label}{self.seed}"]
study.run(["s.yaml", "--jobs", "1"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_stops_its_runs_and_says_how_to_go_on(folder, number):
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    deadline = time.monotonic() + 60
    while not Path("begungood0").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=40)
    assert process.returncode == 130
    assert "default good seed 0: stopped" in out
    assert "the same command goes on from here" in out
    assert not Path("begunbad0").exists()


@pytest.mark.slow
def test_a_run_tells_a_study_what_it_has_done(run_cli, tmp_path):
    facts = ["--trainer.callbacks+", "wsreid.study.run_facts.RunFacts"]
    run_cli("fit", "--run", tmp_path / "a", "--trainer.max_epochs", 2, *facts)
    found = json.loads((tmp_path / "a" / "study.json").read_text())
    row = json.loads((tmp_path / "a" / "results.json").read_text())["rows"][0]
    identities = found["identities"]
    assert 100 * sum(identities["ap"]) / sum(identities["queries"]) == pytest.approx(100 * row["mAP_step"], abs=1e-3)
    assert sum(identities["hits"]) / sum(identities["queries"]) == pytest.approx(row["R1"])
    result = RetrievalResult.load(tmp_path / "a" / "retrieval.npz")
    assert sum(identities["queries"]) == result.n_valid
    # 4 identities are trained on, 4 images each: in bags of two identities x four images, two a batch
    assert (found["steps"], found["images"]) == (2, 32)
    run_cli("fit", "--run", tmp_path / "b", "--trainer.max_epochs", 1, *facts)
    run_cli("fit", "--run", tmp_path / "b", "--trainer.max_epochs", 2, "--ckpt_path", "last", *facts)
    again = json.loads((tmp_path / "b" / "study.json").read_text())
    for name in ("steps", "images", "needs", "identities"):
        assert again[name] == found[name]


@pytest.mark.slow  # five processes that load PyTorch
def test_the_smoke_study_runs_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    places = ["--out", str(tmp_path / "out"), "--results", str(tmp_path / "results")]
    command = [sys.executable, "-m", "wsreid", "study", "experiments/studies/smoke.yaml", "--jobs", "2", *places]
    subprocess.run(command, check=True, timeout=180)
    results = tmp_path / "results" / "smoke"
    assert {path.name for path in results.iterdir()} >= {"runs.csv", "identities.json", "table.md", "curves.png"}
    rows = list(csv.DictReader((results / "runs.csv").open()))
    assert len(rows) == 4
    assert all(0 < float(row["mAP_step"]) <= 100 and float(row["peak_mib"]) > 100 for row in rows)
    assert {row["used_truth"] for row in rows} == {"true", "false"}
    assert len({row["data_hash"] for row in rows}) == 1
    assert len({row["bags_hash"] for row in rows}) == 2  # one a setting
    again = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert "4 runs, 4 recorded already" in again.stdout
