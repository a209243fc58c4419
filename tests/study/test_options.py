import pytest

from wsreid.errors import ConfigError
from wsreid.study.options import as_arguments, merged, with_options


def test_a_later_option_wins_and_comes_last():
    found = merged({"a": 1, "b": 2}, {"c": 3}, {"a": 4})
    assert list(found.items()) == [("b", 2), ("c", 3), ("a", 4)]


def test_values_are_written_as_yaml_reads_them():
    options = {"a": None, "b": True, "c": 1e-3, "d": [1, 2], "e": {"class_path": "X"}, "f": "max", "g": -1}
    expected = ["--a=null", "--b=true", "--c=0.001", "--d=[1, 2]", '--e={"class_path": "X"}', "--f=max", "--g=-1"]
    assert as_arguments(options) == expected


def test_environment_variables_are_filled_in(monkeypatch):
    monkeypatch.setenv("MY_ROOT", "/images")
    assert as_arguments({"data.root": "${MY_ROOT}/pku"}) == ["--data.root=/images/pku"]
    monkeypatch.delenv("MY_ROOT")
    with pytest.raises(ConfigError, match=r"data\.root.*MY_ROOT is not set.*export MY_ROOT="):
        as_arguments({"data.root": "${MY_ROOT}"})


def test_options_find_the_arguments_of_classes():
    config = {
        "model": {"class_path": "A", "init_args": {"scheduler": {"class_path": "S", "init_args": {"T_max": 30}}}},
        "data": {"root": "r"},
        "trainer": {"max_epochs": 3},
    }
    options = {"model.scheduler.T_max": 4, "model.pool": "max", "data.bags.n": 2, "trainer.max_epochs": 9, "model": "B"}
    assert with_options(config, options) == {
        "model": {
            "class_path": "B",
            "init_args": {"scheduler": {"class_path": "S", "init_args": {"T_max": 4}}, "pool": "max"},
        },
        "data": {"root": "r", "bags": {"n": 2}},
        "trainer": {"max_epochs": 9},
    }
    assert config["trainer"] == {"max_epochs": 3}
    assert with_options({"model": "A"}, {"model.lr": 1}) == {"model": {"class_path": "A", "init_args": {"lr": 1}}}
