"""Which classes configurations may name: nothing of another package is imported without leave."""

import os
import sys
from argparse import ArgumentError

import pytest
from jsonargparse import ArgumentParser
from jsonargparse._common import parsing_settings

from wsreid import class_paths
from wsreid.cli import main, suite
from wsreid.cli.study_check import _problems
from wsreid.errors import ConfigError
from wsreid.methods import Method

SPY = """
from pathlib import Path
from wsreid.methods import BagCE
Path(__file__).with_name("it_ran").touch()
class Mine(BagCE):
    pass
"""


@pytest.fixture
def spy(tmp_path, monkeypatch):
    """A module in the current folder that leaves a file when it is imported; the file."""
    (tmp_path / "spy.py").write_text(SPY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv(class_paths.VARIABLE, raising=False)
    yield tmp_path / "it_ran"
    sys.modules.pop("spy", None)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "theirs.yaml"
    path.write_text("model: {class_path: spy.Mine, init_args: {backbone: test_resnet}}")
    return path


def parsed(*words):
    """Runs a fit until its options are read."""
    with pytest.raises(SystemExit):
        main(["fit", *map(str, words), "--print_config"])


def method_of(class_path="spy.Mine"):
    """What the parser of a method makes of a configuration; light, where the whole command's takes seconds."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Method, "model")
    return parser.parse_object({"model": {"class_path": class_path, "init_args": {"num_ids": 4}}})


def is_refused(class_path="spy.Mine"):
    try:
        method_of(class_path)
    except ArgumentError as error:
        return class_paths.denied(str(error)) == class_path
    return False


def test_a_file_cannot_name_a_class_of_another_package(spy, config):
    with pytest.raises(ConfigError) as caught:
        parsed("--config", config)
    assert str(caught.value) == (
        f"{config}: model: 'spy.Mine' is of none of wsreid, torch, torchvision, lightning, timm, and importing it runs "
        "its code. If you trust it, add --allow spy to the command, or set WSREID_ALLOW=spy."
    )
    assert not spy.exists()


def test_leave_on_the_command_line_lasts_as_long_as_the_command(spy, config, capsys):
    before = dict(parsing_settings)
    parsed("--config", config, "--allow=os", "--allow", "spy")
    assert "class_path: spy.Mine" in capsys.readouterr().out
    assert spy.exists()
    assert parsing_settings == before
    assert class_paths.VARIABLE not in os.environ


def test_what_is_typed_on_the_command_line_needs_no_leave(spy):
    parsed("--model", "spy.Mine", "--model.backbone", "test_resnet")
    assert spy.exists()


def test_leave_holds_for_processes_that_are_started(spy, monkeypatch):
    monkeypatch.setenv(class_paths.VARIABLE, "mine")
    with class_paths.granted(["spy"], ["typed"]):
        assert os.environ[class_paths.VARIABLE] == "mine,spy"
        assert not is_refused()
        assert [name for name in ("mine.A", "typed.b.C", "torch.D", "spyy.E") if class_paths.is_allowed(name)] == [
            "mine.A",
            "typed.b.C",
            "torch.D",
        ]
    assert os.environ[class_paths.VARIABLE] == "mine"
    spy.unlink()
    sys.modules.pop("spy")
    with class_paths.allowing():
        assert is_refused()
    assert not spy.exists()


def test_leave_is_given_by_the_environment_and_for_a_single_class(spy, monkeypatch):
    with class_paths.allowing(["spy.Other"]):
        assert is_refused()
    assert not spy.exists()
    monkeypatch.setenv(class_paths.VARIABLE, "other, spy.Mine")
    with class_paths.allowing():
        assert not is_refused()


@pytest.mark.parametrize("name", ["os.system", "subprocess.Popen", "builtins.exec", "jsonargparse.ArgumentParser"])
def test_pythons_own_library_is_not_allowed_by_being_typed(name, monkeypatch):
    line = ["fit", "--model", name, "--model=spy.Mine", "--run", "runs/a.b", "--seed_everything", "1"]
    assert class_paths.typed_classes(line) == {"spy"}
    with class_paths.allowing(class_paths.typed_classes(line)):
        assert is_refused(name)
    monkeypatch.setenv(class_paths.UNTYPED, "1")
    assert class_paths.typed_classes(line) == set()


WAYS = [
    "allow: [spy]",
    "trainer: {callbacks: [{class_path: spy.Mine}]}",
    "trainer: {logger: {class_path: spy.Mine}}",
    "trainer: {strategy: {class_path: spy.Mine}}",
    "trainer: {profiler: {class_path: spy.Mine}}",
    "data: {source: {class_path: spy.Mine}}",
    "data: {class_path: spy.Mine}",
    "model: {class_path: BagCE, init_args: {optimizer: {class_path: spy.Mine}}}",
    "trainer: {callbacks: [{class_path: LambdaCallback, init_args: {on_fit_start: spy.Mine}}]}",
    "seed_everything: !!python/name:spy.Mine ''",
    "seed_everything: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['it_ran']]",
    "model: https://example.org/model.yaml",
]


def test_no_option_of_a_file_is_a_way_around(spy, tmp_path, monkeypatch):
    files = [tmp_path / f"{number}.yaml" for number in range(len(WAYS))]
    for file, content in zip(files, WAYS, strict=True):
        file.write_text(content)
    monkeypatch.setattr(suite, "class_options", lambda *_: set())  # for hints on wrong names, which take seconds
    found = _problems([["fit", "--model", "BagCE", "--config", str(file)] for file in files])
    told = dict(zip(WAYS, found, strict=True))
    assert not spy.exists()
    assert [way for way, problem in told.items() if problem is None] == []
    assert [way for way, problem in told.items() if "class_path: spy" in way and "--allow spy" not in problem] == []


def test_studies_and_bags_read_plain_values(spy, config):
    path = f"!!python/object/apply:pathlib.Path ['{spy}']"
    config.write_text(f"seed: !!python/object/apply:pathlib.Path.touch [{path}]")
    for words in (["study"], ["bags", "--config"]):
        with pytest.raises(ConfigError, match=r"theirs\.yaml"):
            main([*words, str(config)])
        assert not spy.exists()


@pytest.mark.parametrize("words", [["--allow"], ["--allow", "a-b"], ["--allow=jsonargparse"], ["--allow=*"]])
def test_leave_is_for_a_package(words):
    with pytest.raises(ConfigError, match="name a package or a module, such as --allow my_file"):
        main(["fit", *words])


def test_the_other_words_of_a_command_stay():
    words = ["fit", "--allow", "a", "--run", "x", "--allow=b.c"]
    assert class_paths.taken_out(words) == (["fit", "--run", "x"], ["a", "b.c"])


def test_an_option_of_any_type_makes_no_object():
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--any", type=object)
    with class_paths.allowing():
        made = parser.instantiate(parser.parse_object({"any": {"class_path": "torch.nn.Identity"}}))
    assert not callable(made.any)
