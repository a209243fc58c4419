"""Every shipped study can be read, names files that exist, and sets options that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.experiments.test_configs import EXPERIMENTS
from wsreid.cli import main
from wsreid.study.options import as_arguments
from wsreid.study.plan import PlannedRun, planned_run, planned_runs
from wsreid.study.study_file import Study, read_study
from wsreid.study.tuning import planned_trials

STUDIES = sorted(path.name for path in (EXPERIMENTS / "studies").glob("*.yaml"))
COMPARED = {
    *(
        "oracle",
        "oraclebag",
        "bagce",
        "randomcandidate",
        "cc",
        "rc",
        "proden",
        "lws",
        "pico",
        "milpool",
        "attentionmil",
    ),
    *("cvmiml", "cpal", "sinkhorn", "meanteacher", "clustercontrast", "cmil", "dgl_official", "dgl"),
}


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXPERIMENTS.parent)
    monkeypatch.setenv("PKU_ROOT", "images")


def read(name: str) -> Study:
    return read_study(EXPERIMENTS / "studies" / name)


def test_the_studies_that_the_results_need_are_there() -> None:
    assert set(STUDIES) >= {
        f"{n}.yaml" for n in ("smoke", "synthetic", "pku", "synthetic_curves", "tuning", "dgl_ablation")
    }


@pytest.mark.parametrize("name", ["synthetic.yaml", "pku.yaml", "tuning.yaml"])
def test_every_method_is_compared_and_tuned(name: str) -> None:
    assert {entry.method for entry in read(name).methods} == COMPARED


def test_tables_are_of_other_data_and_seeds_than_tuning() -> None:
    tuning, table = read("tuning.yaml"), read("synthetic.yaml")
    assert tuning.options["data.rendered.seed"] != table.options["data.rendered.seed"]
    assert set(tuning.seeds).isdisjoint(table.seeds)
    assert tuning.tune is not None
    assert tuning.tune.trials >= 6
    assert "rendered.seed" not in str([setting.options for setting in (*tuning.settings, *table.settings)])


@pytest.mark.parametrize("name", STUDIES)
def test_the_options_of_a_study_exist(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    study = read(name)
    first = study.methods[0]
    trial = {} if study.tune is None else study.tune.options
    runs = [planned_run(study, first, setting, 0, tmp_path, trial_options=trial) for setting in study.settings]
    runs += [
        planned_run(study, entry, study.settings[0], 0, tmp_path, trial_options=trial)
        for entry in study.methods[1:]
        if entry.options
    ]
    for run in runs:
        config = resolved(run, capsys)
        assert config["trainer"]["max_epochs"] == run.options.get("trainer.max_epochs", config["trainer"]["max_epochs"])
        if "model.scheduler.T_max" in run.options:  # a schedule that ends with the run
            assert config["model"]["init_args"]["scheduler"]["init_args"]["T_max"] == config["trainer"]["max_epochs"]


def test_trials_of_all_methods_can_be_drawn(tmp_path: Path) -> None:
    study = read("tuning.yaml")
    runs, trials = planned_trials(study, tmp_path)
    assert study.tune is not None
    assert {run.label for run in runs} == {entry.label for entry in study.methods}
    assert all(1 <= len(drawn) <= study.tune.trials for drawn in trials.values())
    assert len(runs) == sum(map(len, trials.values()))


def test_the_curves_have_their_points(tmp_path: Path) -> None:
    study = read("synthetic_curves.yaml")
    runs = planned_runs(study, tmp_path)
    assert len(runs) == 8 * 5 * 3
    assert [s.x["identities per bag"] for s in study.settings if "identities per bag" in s.x] == [2, 4, 8]


def resolved(run: PlannedRun, capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as done:
        main(["fit", "--config", str(run.config), *as_arguments(run.options), "--print_config"])
    assert done.value.code == 0
    content: dict[str, dict] = yaml.safe_load(capsys.readouterr().out)
    return content
