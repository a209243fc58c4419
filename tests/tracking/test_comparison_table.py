import csv
import io
import json

import pytest
from rich.console import Console

from tests.tracking.run_folders import change_results, make_result, write_run
from wsreid.tracking.compared_runs import compare_folders
from wsreid.tracking.comparison_table import (
    csv_table,
    definition,
    differences,
    heads,
    json_table,
    left_out,
    markdown,
    terminal_table,
)


def write(folder, method, first, seed, **changes):
    """A run whose two identities have two queries each, found at once or at rank `first`."""
    path = write_run(
        folder, make_result([[0], [first], [0], [first]], [1, 1, 2, 2]), method=method, seed=seed, **changes
    )
    rows = json.loads((path / "results.json").read_text())["rows"]
    refine = {"refine_raw": 0.25, "refine_per_bag": 0.5, "refine_over_set": 0.75}
    change_results(path, rows=[rows[0] | refine])


@pytest.fixture
def found(tmp_path):
    for seed in (0, 1):
        write(tmp_path / f"a{seed}", "DGL", 1 + seed, seed)
        write(tmp_path / f"b{seed}", "BagCE", 3, seed)
    write(tmp_path / "c", "Oracle", 1, 0)
    write_run(tmp_path / "unfinished")
    return compare_folders([tmp_path], "BagCE")


@pytest.fixture
def apart(tmp_path, found):
    """The same beside a run of other bags, whose name holds what Markdown and rich would read."""
    write(tmp_path / "d", "DGL", 1, 0, bags="c" * 64, options={"note": "[bold]a|b"})
    write(tmp_path / "e", "DGL", 2, 0, bags="c" * 64)
    return compare_folders([tmp_path], "BagCE")


def printed(table, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(terminal_table(table, width))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_table_of_the_terminal_fits(found, width):
    text = printed(found.tables[0], width)
    assert max(map(len, text.splitlines())) <= width
    for shown in ("Oracle", "DGL", "70.8 ± 5.9", "R1", "50.0", "vs BagCE", "+8.3", "0.002", "60", "25.0", "75.0"):
        assert shown in text, shown
    assert ("mINP" in text) == (width >= 105)


def test_intervals_stand_below_their_figures(found):
    lines = printed(found.tables[0], 120).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("DGL"))
    assert "70.8 ± 5.9" in lines[at]
    assert "[70.8, 70.8]" in lines[at + 1]
    assert lines[at + 1].startswith("bag labels")


def test_markdown_holds_all(found):
    text = markdown(found)
    row = next(line for line in text.splitlines() if line.startswith("| DGL"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert dict(zip(heads(found.tables[0]), cells, strict=True)) == {
        "method": "DGL",
        "learns from": "bag labels",
        "seeds": "0 1",
        "mAP step": "70.8 ± 5.9",
        "mAP interval": "[70.8, 70.8]",
        "R1": "50.0 ± 0.0",
        "mAP trap.": "60.4 ± 2.9",
        "mINP": "70.8 ± 5.9",
        "vs BagCE": "+8.3 [+8.3, +8.3]*",
        "p": "0.002",
        "refine": "25.0 / 50.0 / 75.0",
        "seconds": "60",
    }
    assert "| **Oracle** | **true identities** |" in text
    assert "unfinished: not finished" in text
    assert definition(found) in text
    assert "NOT COMPARABLE" not in text


def test_tables_apart_say_what_differs(apart):
    said = differences(apart)
    assert said[0].startswith("NOT COMPARABLE, so there are 2 tables")
    assert said[1] == "bags hash: table 1: bbbbbbbbbbbb; table 2: cccccccccccc."
    text = markdown(apart)
    assert f"**{said[1]}**" in text
    assert text.count("## synthetic, test split") == 2
    assert "| DGL (note [bold]a\\|b) |" in text
    assert "DGL (note [bold]a|b)" in printed(apart.tables[1], 200)


def test_csv_has_a_row_for_each_group(apart):
    rows = list(csv.DictReader(io.StringIO(csv_table(apart))))
    assert [(row["table"], row["label"]) for row in rows] == [
        ("1", "Oracle"),
        ("1", "DGL"),
        ("1", "BagCE"),
        ("2", "DGL (note [bold]a|b)"),
        ("2", "DGL (note none)"),
    ]
    dgl = rows[1]
    assert (dgl["bags_hash"], dgl["junk"], dgl["seeds"], dgl["learns_from"]) == (
        "b" * 12,
        "same camera",
        "0 1",
        "bag labels",
    )
    assert float(dgl["mAP_step"]) == pytest.approx(100 * (0.75 + 2 / 3) / 2, abs=1e-3)
    assert float(dgl["mAP_step_interval_low"]) == pytest.approx(float(dgl["mAP_step"]))
    assert float(dgl["difference"]) == pytest.approx(100 * (0.75 + 2 / 3) / 2 - 62.5, abs=1e-3)
    assert (rows[0]["mAP_step_sd"], rows[2]["difference"], rows[3]["baseline"]) == ("", "", "")


def test_json_holds_all(apart):
    content = json.loads(json_table(apart))
    labels = [[group["label"] for group in table["groups"]] for table in content["tables"]]
    assert labels == [["Oracle", "DGL", "BagCE"], ["DGL (note [bold]a|b)", "DGL (note none)"]]
    dgl = content["tables"][0]["groups"][1]
    group = apart.tables[0].groups[1]
    assert dgl["numbers"]["mAP_step"] == {"mean": group.mean_ap, "deviation": group.numbers["mAP_step"].deviation}
    assert dgl["against"]["p"] == group.against.p
    assert [each["seed"] for each in dgl["runs"]] == [0, 1]
    assert content["differing"] == {"bags hash": ["b" * 12, "c" * 12]}
    assert [each["reason"][:12] for each in content["left_out"]] == ["not finished"]
    assert content["tables"][0]["baseline"] == "BagCE"


def test_one_identity_has_no_interval_in_any_format(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"a{seed}", make_result([[0], [1]], [4, 4]), method="CC", seed=seed)
        write_run(tmp_path / f"b{seed}", make_result([[2], [1]], [4, 4]), seed=seed)
    found = compare_folders([tmp_path], "BagCE")
    assert "| CC | bag labels | 0 1 | 75.0 ± 0.0 | n/a |" in markdown(found)
    assert "n/a" in printed(found.tables[0], 120)
    assert json.loads(json_table(found))["tables"][0]["groups"][0]["intervals"]["R1"] == [None, None]
    assert next(csv.DictReader(io.StringIO(csv_table(found))))["R1_interval_low"] == ""


def test_a_folder_is_named_once_where_it_is_left_out(tmp_path):
    write_run(tmp_path / "a", make_result([[0]]))
    (write_run(tmp_path / "b", make_result([[0]])) / "results.json").write_text("[]")
    write_run(tmp_path / "c")
    lines = left_out(compare_folders([tmp_path]))
    assert [line.partition(":")[0] for line in lines] == [str(tmp_path / "c"), str(tmp_path / "b")]
    assert lines[0].count(str(tmp_path)) == 1
