import itertools

import pytest
import yaml

from wsreid.cli import main
from wsreid.study.options import as_arguments
from wsreid.study.plan import planned_runs
from wsreid.study.study_file import read_study
from wsreid.study.sweep import write_sweep


@pytest.fixture
def real_study(folder, monkeypatch):
    """Two shipped methods, one with options of its own, two ways to make bags."""
    from tests.experiments.test_configs import EXPERIMENTS

    content = {
        "configs": str(EXPERIMENTS / "synthetic"),
        "methods": ["bagce", {"method": "dgl", "label": "DGL avg", "options": {"model.pooling": "avg"}}],
        "seeds": [0, 3],
        "settings": {"n4": {"data.bags.ids_per_bag": 4}, "w": {"data.bags.protocol": "windows"}},
        "options": {"trainer.max_epochs": 3, "model.scheduler.T_max": 3, "data.rendered.seed": 2},
    }
    (folder / "s.yaml").write_text(yaml.safe_dump(content))
    return read_study(folder / "s.yaml")


def test_a_sweep_is_a_grid_of_the_same_runs(real_study, folder):
    files = write_sweep(real_study, planned_runs(real_study, folder), folder / "sweep.yaml")
    sweep = yaml.safe_load((folder / "sweep.yaml").read_text())
    assert sweep["method"] == "grid"
    assert sweep["metric"] == {"name": "best/mAP_step", "goal": "maximize"}
    assert " ".join(sweep["command"]) == "${env} python -m wsreid fit ${args}"
    assert sweep["parameters"]["seed_everything"] == {"values": [0, 3]}
    assert [str(path) for path in files[1:]] == sweep["parameters"]["config"]["values"]
    assert len(files) == 5


def resolved(capsys, args):
    with pytest.raises(SystemExit) as done:
        main(["fit", *args, "--print_config"])
    assert done.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


def test_each_combination_is_parsed_as_the_run_of_the_study(real_study, folder, capsys):
    runs = planned_runs(real_study, folder)
    write_sweep(real_study, runs, folder / "sweep.yaml")
    parameters = yaml.safe_load((folder / "sweep.yaml").read_text())["parameters"]
    names, values = list(parameters), [parameters[name]["values"] for name in parameters]
    capsys.readouterr()
    combinations = [dict(zip(names, each, strict=True)) for each in itertools.product(*values)]
    found = [resolved(capsys, [f"--{name}={value}" for name, value in each.items()]) for each in combinations]
    expected = []
    for run in runs:
        args = ["--config", str(run.config), "--seed_everything", str(run.seed), *as_arguments(run.options)]
        expected.append(resolved(capsys, [*args, "--wandb.mode=online"]))
    assert len(found) == len(expected) == 8
    for config in found:
        assert config in expected
    assert len({yaml.safe_dump(config) for config in found}) == 8


def test_a_sweep_of_environment_variables_is_filled_in(write_study, folder, monkeypatch):
    monkeypatch.setenv("ROOT_OF_IMAGES", "/images")
    study = read_study(write_study(options={"data.root": "${ROOT_OF_IMAGES}"}))
    files = write_sweep(study, planned_runs(study, folder), folder / "sweep.yaml")
    assert yaml.safe_load(files[1].read_text())["data"]["root"] == "/images"
