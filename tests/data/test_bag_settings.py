import pytest

from wsreid.data.bag_settings import BagSettings
from wsreid.errors import ConfigError


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocol": "other"},
        {"ids_per_bag": 0},
        {"images_per_id": 0},
        {"images_per_id": "some"},
        {"window": 0},
        {"window_frames": 0},
        {"sysu_widths": ()},
        {"sysu_widths": (2,)},
        {"missing": 1.1},
        {"extra": -0.1},
        {"unknown": 2},
        {"seed": -1},
    ],
)
def test_refuses_and_names_the_option(wrong):
    with pytest.raises(ConfigError, match=f"data.bags.{next(iter(wrong))} "):
        BagSettings(**wrong)
