import json

import pytest

from wsreid.data.bag_format import BagHeader
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
        {"unbalanced": 1.1},
        {"unbalanced": -0.1},
        {"overlap": 2},
        {"overlap": float("nan")},
    ],
)
def test_refuses_and_names_the_option(wrong):
    with pytest.raises(ConfigError, match=f"data.bags.{next(iter(wrong))} "):
        BagSettings(**wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"protocol": "windows", "unbalanced": 0.5}, "data.bags.unbalanced 0.5: bags of data.bags.protocol windows"),
        ({"images_per_id": "all", "unbalanced": 0.5}, "data.bags.unbalanced 0.5 has no effect"),
        ({"images_per_id": 1, "unbalanced": 0.5}, "data.bags.unbalanced 0.5 has no effect"),
        ({"protocol": "sysu", "overlap": 0.5}, "data.bags.overlap 0.5: the bags of data.bags.protocol sysu overlap"),
        ({"protocol": "windows", "overlap": 1.0}, "data.bags.overlap must be below 1"),
    ],
)
def test_refuses_noise_that_the_protocol_cannot_make(wrong, says):
    with pytest.raises(ConfigError, match=says):
        BagSettings(**wrong)


def test_noise_that_each_protocol_can_make():
    BagSettings(unbalanced=1, overlap=1)
    BagSettings(protocol="windows", overlap=0.9)
    for protocol in ("random", "windows", "sysu"):
        BagSettings(protocol=protocol, missing=0.1, extra=0.1, unknown=0.1)


def test_settings_of_older_files_are_read():
    """Bag files from before `unbalanced` and `overlap` say nothing of them."""
    header = json.loads(BagHeader(BagSettings(seed=3, missing=0.2), "m", "h").to_json())
    del header["settings"]["unbalanced"], header["settings"]["overlap"]
    assert BagHeader.from_json(json.dumps(header).encode()).settings == BagSettings(seed=3, missing=0.2)
