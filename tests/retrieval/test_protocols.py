import dataclasses

import pytest

from wsreid.errors import ConfigError
from wsreid.retrieval.protocols import (
    CUHK03_CLASSIC,
    MARKET1501,
    MSMT17,
    NO_CAMERA,
    PROTOCOLS,
    SYSU30K,
    Protocol,
    chosen_protocol,
    protocol_named,
)


def test_protocols_are_found_by_name():
    assert list(PROTOCOLS) == ["market1501", "sysu30k", "msmt17", "cuhk03_classic", "cuhk03_np", "none"]
    assert all(protocol_named(name).name == name for name in PROTOCOLS)
    own = Protocol("own")
    assert protocol_named(own) is own


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'sysu30': expected one of market1501, .*, none\. Did you mean 'sysu30k'\?"):
        protocol_named("sysu30")
    with pytest.raises(ConfigError, match=r"none\.$"):
        protocol_named("zzz")


def test_what_sets_them_apart():
    assert [p.name for p in PROTOCOLS.values() if p.unmatched == "missed"] == ["sysu30k"]
    assert [p.name for p in PROTOCOLS.values() if p.single_shot] == ["cuhk03_classic"]
    assert [p.name for p in PROTOCOLS.values() if not p.same_camera_is_junk] == ["none"]
    assert SYSU30K.headline == "R1"
    assert CUHK03_CLASSIC.definition()["repeats"] == 10
    assert "single shot" in CUHK03_CLASSIC.definition()["cmc"]
    assert "no cameras" in NO_CAMERA.definition()["junk"]
    assert "repeats" not in MARKET1501.definition()


def test_the_protocol_follows_the_cameras_unless_it_is_asked_for():
    assert chosen_protocol(None, cameras_known=True) is MARKET1501
    assert chosen_protocol(None, cameras_known=False) is NO_CAMERA
    assert chosen_protocol("none", cameras_known=True) is NO_CAMERA
    assert chosen_protocol(SYSU30K, cameras_known=True) is SYSU30K
    with pytest.raises(ConfigError, match=r"sysu30k.*no cameras are known.*'none'"):
        chosen_protocol("sysu30k", cameras_known=False)


def test_other_counts_than_the_published_ones_are_noted():
    assert SYSU30K.count_note(1000, 479_730) is None
    assert MSMT17.count_note(11_659, 82_161) is None
    assert MARKET1501.count_note(3368, 15_913) is None
    assert MARKET1501.count_note(3368, 19_732) is None
    assert NO_CAMERA.count_note(1, 1) is None
    for part in ("sysu30k", "1,000", "479,730", "these are 999 and 479,730"):
        assert part in SYSU30K.count_note(999, 479_730)
    assert "19,732" in MARKET1501.count_note(3368, 15_000)


@pytest.mark.parametrize("change", [{"unmatched": "kept"}, {"headline": "R7"}, {"repeats": 0}, {"name": ""}])
def test_senseless_protocols_are_refused(change):
    with pytest.raises(ConfigError, match=f"{next(iter(change))}"):
        dataclasses.replace(MARKET1501, **change)
