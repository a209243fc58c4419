"""What docs/studies.md shows is what is there."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from wsreid.cli import study
from wsreid.study.records import COSTS
from wsreid.study.study_file import _KEYS, read_study
from wsreid.study.table import _heads

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
YAML = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The page's study, read; and the content of its file."""
    monkeypatch.chdir(ROOT)
    content = yaml.safe_load(YAML[0])
    (tmp_path / "best.yaml").write_text("{Oracle: {}, BagCE: {}, MILPool max: {}}")
    content["tuned"] = str(tmp_path / "best.yaml")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content | yaml.safe_load(YAML[1])))
    return read_study(tmp_path / "mine.yaml"), content


def test_the_study_of_the_page_can_be_read(example):
    read, content = example
    assert [entry.label for entry in read.methods] == ["Oracle", "BagCE", "MILPool max"]
    assert read.tune.trials == 6
    assert set(content) | {"tune"} == set(_KEYS)


def test_each_column_of_the_table_is_explained(example):
    read, _ = example
    rows = [
        cell.strip() for line in PAGE.splitlines() if line.startswith("|") for cell in line.split("|")[1].split(",")
    ]
    for head in _heads(read):
        assert head.replace("BagCE", "REFERENCE") in rows or head == "method"
    for name in ("fit_seconds", "steps", "images"):
        assert name in COSTS
        assert f"`{name}`" in PAGE


def test_each_option_of_the_command_is_explained(capsys):
    with pytest.raises(SystemExit):
        study.run(["--help"])
    options = set(re.findall(r"--[a-z_]+", capsys.readouterr().out)) - {"--help"}
    assert options
    assert {option for option in options if f"`{option}" not in PAGE} == set()


def test_each_study_is_listed_and_the_command_is_one():
    there = {path.name for path in (ROOT / "experiments" / "studies").glob("*.yaml")}
    assert {name for name in there if f"| `{name}` |" not in PAGE} == set()
    command = next(line for line in PAGE.splitlines() if line.startswith("python -m wsreid study "))
    assert study._parse(shlex.split(command)[4:]).jobs == 2
