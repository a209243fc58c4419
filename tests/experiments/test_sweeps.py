"""Each value of each parameter of the W&B sweeps is one that the command line takes, as W&B's agent gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args

from tests.experiments.test_configs import CONFIGS, EXPERIMENTS
from wsreid.cli import main
from wsreid.study.sweep import METRIC

SWEEPS = sorted((EXPERIMENTS / "sweeps").glob("*.yaml"))
NOT_TRAINED = {"pretrain.yaml", "transfer.yaml"}


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def values(parameter: dict[str, Any]) -> list[Any]:
    """All values of a parameter; of a range both ends."""
    if "value" in parameter:
        return [parameter["value"]]
    if "values" in parameter:
        return list(parameter["values"])
    low, high = parameter["min"], parameter["max"]
    assert low < high
    return [low, high]


def combinations(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """With the first configuration each value of each parameter at least once, with each other one some of them."""
    own = {name: values(parameter) for name, parameter in parameters.items()}
    configs = own.pop("config")
    most = max(map(len, own.values()))
    turns = [(configs[0], turn) for turn in range(most)] + [(config, 0) for config in configs[1:]]
    return [
        {"config": config, **{name: options[turn % len(options)] for name, options in own.items()}}
        for config, turn in turns
    ]


def at(config: dict[str, Any], name: str) -> object:
    """The resolved value of an option."""
    found: Any = config
    for part in name.split("."):
        found = found["init_args"] if isinstance(found, dict) and "init_args" in found else found
        found = found[part]
    return found


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_value_is_taken(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXPERIMENTS.parent)  # where the agent is started
    parameters = read(path)["parameters"]
    capsys.readouterr()
    for chosen in combinations(parameters):
        command = {"args": {name: {"value": chosen[name]} for name in sorted(chosen)}}  # as a server sends them
        args = create_sweep_command_args(command)["args"]
        with pytest.raises(SystemExit) as done:
            main(["fit", *args, "--print_config"])
        assert done.value.code == 0
        resolved = yaml.safe_load(capsys.readouterr().out)
        for name, value in chosen.items():
            if name != "config":
                assert at(resolved, name) == value, (name, value)


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_it_runs_a_fit_and_is_scored_on_validation_alone(path: Path) -> None:
    sweep = read(path)
    assert sweep["name"] == path.stem
    assert " ".join(sweep["command"]) == "${env} python -m wsreid fit ${args}"
    assert sweep["metric"] == {"name": METRIC, "goal": "maximize"}
    assert sweep["parameters"]["test_after_fit"] == {"value": False}
    assert sweep["parameters"]["wandb.mode"] == {"value": "online"}
    ranges = [parameter for parameter in sweep["parameters"].values() if "distribution" in parameter]
    assert sweep["method"] == ("bayes" if ranges else "grid")  # a grid has no ranges
    assert ("run_cap" in sweep) == bool(ranges)  # the other searches would never end


def test_each_method_is_in_one_sweep() -> None:
    there = [config for path in SWEEPS for config in read(path)["parameters"]["config"]["values"]]
    folder = "synthetic/"
    expected = [f"experiments/{c}" for c in CONFIGS if c.startswith(folder) and c[len(folder) :] not in NOT_TRAINED]
    assert sorted(there) == sorted(expected)


def test_values_that_are_not_taken_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    args = create_sweep_command_args({"args": {"model.bank_weight": {"value": "much"}}})["args"]
    with pytest.raises(Exception, match="bank_weight"):
        main(["fit", f"--config={EXPERIMENTS / 'synthetic' / 'dgl.yaml'}", *args, "--print_config"])
    capsys.readouterr()
