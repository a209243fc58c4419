"""A study whose runs cannot start says so before any of them does."""

from pathlib import Path

import pytest
import yaml

from wsreid.cli import study
from wsreid.cli.study_check import check_runs
from wsreid.errors import ConfigError
from wsreid.study.plan import PlannedRun, planned_runs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A study of two lines, one of which has an option that is none, and the other a value that is none."""
    monkeypatch.chdir(tmp_path)
    methods = [
        {"method": "bagce", "label": "typo", "options": {"model.lrr": 1}},
        {"method": "bagce", "label": "word", "options": {"model.lr": "fast"}},
        {"method": "bagce", "label": "good", "options": {"model.lr": 0.1}},
    ]
    content = {"configs": str(ROOT / "experiments" / "synthetic"), "methods": methods, "seeds": [0, 1]}
    Path("s.yaml").write_text(yaml.safe_dump(content))
    return Path("s.yaml")


@pytest.mark.slow
def test_all_lines_are_parsed_before_the_first_run(file, capsys):
    with pytest.raises(ConfigError, match="No run was started") as error:
        study.run([str(file), "--dry_run"])
    typo, word = str(error.value).splitlines()[1:]  # each once, whatever the seeds
    assert typo.startswith("default typo seed 0: ")
    assert "lrr" in typo
    assert "--model.lr" in typo
    assert word.startswith("default word seed 0: ")
    assert "fast" in word
    assert "6 runs, 6 of them to run." in capsys.readouterr().out
    assert not Path("runs").exists()


def test_commands_that_are_not_ours_are_not_parsed(file, monkeypatch):
    monkeypatch.setattr(PlannedRun, "command", lambda self, resume=False: ["python", "-c", "pass"])
    check_runs(planned_runs(study.read_study(file), Path("runs")))
