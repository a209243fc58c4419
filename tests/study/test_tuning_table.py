import io

import pytest
import yaml
from rich.console import Console

from wsreid.study.study_file import read_study
from wsreid.study.trial_records import TrialRecord
from wsreid.study.tuning import Tuned
from wsreid.study.tuning_table import best_yaml, tuning_markdown, tuning_terminal_table

TUNED = [
    Tuned("BagCE", {}, 0, 0.25, 0.25, 3, 3),
    Tuned("dgl_official", {"model.w": 2, "model.lr": 0.004}, 2, 0.5, None, 2, 3),
]


@pytest.fixture
def tuning(write_study):
    return read_study(write_study(tune={"trials": 3}, methods=["bagce", "dgl_official"], oracle=None))


def test_other_studies_read_the_best_options(tuning, write_study, folder):
    text = best_yaml(tuning, TUNED)
    assert yaml.safe_load(text) == {"BagCE": {}, "dgl_official": {"model.lr": 0.004, "model.w": 2}}
    assert "trial 2, 50.0 %; 2 of 3 trials have run" in text
    (folder / "best.yaml").write_text(text)
    study = read_study(write_study(tuned="best.yaml", methods=["bagce", "dgl_official"], oracle=None))
    assert study.tuned["dgl_official"]["model.lr"] == 0.004


def test_markdown_lists_all_trials(tuning):
    keys = [("n2", "BagCE", "10", "0"), ("n2", "BagCE", "2", "0")]
    records = {key: TrialRecord(key, "h", 0.25, 1.0, 64, {"model.lr": 0.1}, "") for key in keys}
    lines = tuning_markdown(tuning, TUNED, records).splitlines()
    assert "| BagCE | 3 of 3 | 25.0 | 25.0 | 0 | - |" in lines
    assert "| dgl_official | 2 of 3 | n/a | 50.0 | 2 | model.lr 0.004, model.w 2 |" in lines
    assert lines[-2:] == [
        "| BagCE | 2 | n2 | 0 | 25.0 | model.lr 0.1 |",
        "| BagCE | 10 | n2 | 0 | 25.0 | model.lr 0.1 |",
    ]
    assert any("3 trials" in line and "test split is not read" in line for line in lines)


def test_the_terminal_shows_the_best(tuning):
    console = Console(width=150, record=True, file=io.StringIO())
    console.print(tuning_terminal_table(tuning, TUNED))
    assert "model.lr 0.004, model.w 2" in console.export_text()
