from pathlib import Path

import pytest

from wsreid.export.machine import Machine, folders_named

HERE = Machine(("/home/marie/runs", "/home/marie"), ("marie",))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see /home/marie/runs/seed0, please", "see REMOVED, please"),
        ("'/srv/data/x.jpg' is missing", "'REMOVED' is missing"),
        ("~/data and C:\\Users\\marie\\x", "REMOVED and REMOVED"),
        ("run=/home/marie/runs", "run=REMOVED"),
        ("by marie, not by mariechen or rosemarie", "by REMOVED, not by mariechen or rosemarie"),
        ("(i+1)/(r+1); mean of (i+1)/(r+1) and i/r (1 if r = 0)", None),
        (r"(?P<pid>\d+)/(?P<camera>\d+)_(?P<frame>\d+)[^/]*/x", None),
        ("hf-hub:timm/resnet50", None),
        ("R1/R5 in 256 / 128", None),
    ],
)
def test_paths_and_names_are_taken_out_of_text_and_formulas_stay(text, left):
    assert HERE.cleaned(text) == (left or text)


def test_options_that_are_paths_are_taken_out_whatever_they_look_like():
    config = {"root": "data/market", "manifest": None, "weights": "../w/marie/osnet.pth", "list": [{"table": "a.csv"}]}
    assert HERE.cleaned(config) == {
        "root": "REMOVED",
        "manifest": None,
        "weights": "REMOVED/osnet.pth",
        "list": [{"table": "REMOVED"}],
    }
    assert HERE.cleaned({"lr": 0.1, "on": True, "names": ("a", 2)}) == {"lr": 0.1, "on": True, "names": ["a", 2]}


def test_a_file_that_names_a_folder_is_told():
    assert HERE.told_by(b"\0\1/home/marie/x") == "/home/marie"
    assert Machine(("/root",), ()).told_by(b"\0/root\0") is None  # four bytes may stand there by chance
    assert Machine(("/root",), ()).told_by(b"\0/root/x") == "/root"


def test_this_machine_is_known(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "pierre"))
    for name in ("LOGNAME", "USER"):
        monkeypatch.setenv(name, "root")
    monkeypatch.chdir(tmp_path)
    found = Machine.here([Path("/data/secret")])
    assert {str(tmp_path / "pierre"), str(tmp_path), "/data/secret"} <= set(found.folders)
    assert found.names == ("pierre",)  # root is nobody's name


def test_folders_that_a_configuration_names_are_found():
    config = {"data": {"root": "/data/x", "source": {"root": "rel"}}, "l": [{"weights": "/w/a.pth"}], "other": "/no"}
    assert folders_named(config) == [Path("/data/x"), Path("/w/a.pth")]
