"""W&B is offline in the shipped configurations: nothing leaves the machine until the user says so."""

import pytest
import yaml

from tests.experiments.test_configs import CONFIGS, EXPERIMENTS

NOTHING_TO_LOOK_AT = {"synthetic/pretrain.yaml"}  # where the runs of a study start


@pytest.mark.parametrize("config", CONFIGS)
def test_offline_by_default(config: str) -> None:
    content = yaml.safe_load((EXPERIMENTS / config).read_text(encoding="utf-8"))
    assert content["wandb"]["mode"] == ("disabled" if config in NOTHING_TO_LOOK_AT else "offline")
