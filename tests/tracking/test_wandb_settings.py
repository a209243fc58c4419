import pytest

from wsreid.errors import ConfigError
from wsreid.tracking.wandb_settings import WandbSettings


@pytest.mark.parametrize(
    "option",
    [
        {"table_rows": -1},
        {"bags": -1},
        {"bags_every_n_epochs": 0},
        {"embeddings": -1},
        {"activation_maps": -1},
        {"finish_timeout": 0.0},
        {"finish_timeout": float("nan")},
    ],
)
def test_numbers_out_of_range_are_named(option):
    with pytest.raises(ConfigError, match=f"wandb.{next(iter(option))} must be"):
        WandbSettings(**option)
