"""What docs/compare.md shows is what is there."""

import re
import shlex
from pathlib import Path

import pytest

from tests.tracking.run_folders import make_result, write_run
from wsreid.cli import compare
from wsreid.tracking.comparison_table import heads

PAGE = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The folder of the page, with two methods in it."""
    monkeypatch.chdir(tmp_path)
    for method in ("DGL", "BagCE"):
        write_run(Path("runs") / "synthetic" / method, make_result([[0], [1]]), method=method)


def test_the_command_runs_and_each_column_is_explained(runs, capsys):
    command = re.search(r"```bash\n(.*?)\n```", PAGE, flags=re.DOTALL)[1]
    found = compare.run(shlex.split(command)[4:])
    rows = [
        cell.strip() for line in PAGE.splitlines() if line.startswith("|") for cell in line.split("|")[1].split(",")
    ]
    for head in heads(found.results[0]):
        assert head.replace("BagCE", "BASELINE") in rows, head


def test_the_python_of_the_page_runs(runs):
    code = re.search(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)[1]
    *lines, last = code.strip().splitlines()
    names = {}
    exec("\n".join(lines), names)
    labels = [label for label, *_ in eval(last, names)]
    assert sorted(labels) == ["BagCE", "DGL"]


def test_each_option_of_the_command_is_explained(capsys):
    with pytest.raises(SystemExit):
        compare.run(["--help"])
    options = set(re.findall(r"--[a-z_]+", capsys.readouterr().out)) - {"--help"}
    assert {option for option in options if f"`{option}" not in PAGE} == set()
    assert options
