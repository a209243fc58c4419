import csv
import io
import json
import subprocess
import sys

import pytest

from tests.tracking.run_folders import change_results, make_result, write_run
from wsreid.cli import compare, main
from wsreid.errors import ConfigError, DataError


@pytest.fixture
def runs(tmp_path):
    for method, first in (("DGL", 1), ("BagCE", 4)):
        for seed in (0, 1):
            ranks = [[first], [first + seed], [0], [first]]
            write_run(tmp_path / method / f"seed{seed}", make_result(ranks), method=method, seed=seed)
    write_run(tmp_path / "stopped")
    return tmp_path


def test_the_table_is_printed(runs, capsys):
    found = compare.run([str(runs), "--baseline", "bagce"])
    assert [group.label for group in found.results[0].groups] == ["DGL", "BagCE"]
    out = capsys.readouterr().out
    for part in (
        "synthetic, test split",
        "vs BagCE",
        "95 % interval",
        "junk: same camera",
        "Left out: ",
        "not finished",
    ):
        assert part in out, part


def test_a_run_without_its_configuration_is_named(runs, capsys):
    (runs / "BagCE" / "seed1" / "config.yaml").unlink()
    assert [len(group.runs) for group in compare.run([str(runs), "--format", "md"]).results[0].groups] == [2, 1]
    assert f"{runs / 'BagCE' / 'seed1'}: no run folder: there is no config.yaml in it" in capsys.readouterr().out


def test_runs_that_mean_other_things_are_told_apart(runs, capsys):
    write_run(runs / "z", make_result([[0], [1], [2], [3]], junk="none"), method="CC")
    assert len(compare.run([str(runs)]).results) == 2
    out = capsys.readouterr().out
    assert "NOT COMPARABLE, so there are 2 tables" in out
    assert "junk: table 1: same camera; table 2: none." in out


def test_no_name_breaks_the_table(runs, capsys):
    for seed in (0, 1):
        change_results(runs / "DGL" / f"seed{seed}", method="D\n| evil | \x1b[31mL", data="x\n# y")
    compare.run([str(runs), "--format", "md"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert not [line for line in out.splitlines() if line.startswith(("| evil", "# y"))]


def test_it_is_a_command_and_other_formats_are_all_that_is_printed(runs, capsys):
    main(["compare", str(runs), "--format", "json"])
    assert len(json.loads(capsys.readouterr().out)["tables"]) == 1
    main(["compare", str(runs / "DGL"), str(runs / "BagCE"), "--format", "md"])
    assert "| DGL | bag labels |" in capsys.readouterr().out
    main(["compare", str(runs), "--format", "csv"])
    out, err = capsys.readouterr()
    assert [row["label"] for row in csv.DictReader(io.StringIO(out))] == ["DGL", "BagCE"]
    assert "Left out: " in err


def test_mistakes_are_told(runs):
    with pytest.raises(ConfigError, match="did you mean --baseline"):
        compare.run([str(runs), "--baselin", "x"])
    with pytest.raises(ConfigError, match=r"--baseline CC: no such group\. There are: DGL, BagCE"):
        compare.run([str(runs), "--baseline", "CC"])
    with pytest.raises(DataError, match="no such file or folder"):
        compare.run([str(runs / "none")])
    with pytest.raises(DataError, match=r"nothing to compare: none of 1 .*\n  .*stopped: not finished"):
        compare.run([str(runs / "stopped")])
    with pytest.raises(ConfigError, match="Missing: RUNS"):
        compare.run([])


def test_neither_help_nor_a_comparison_loads_torch(runs):
    code = "import sys; from wsreid.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
    code += "print(sorted({'torch', 'lightning', 'pandas', 'matplotlib', 'faiss'} & set(sys.modules)))"
    for words in (["compare", "--help"], ["compare", str(runs)]):
        found = subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True)
        assert found.stdout.splitlines()[-1] == "[]"
