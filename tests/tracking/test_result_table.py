import io
import json

import pytest
from rich.console import Console

from wsreid.tracking.result_table import Accuracy, ResultRow, definition_line, percent, result_table, write_results

REFINE = {"raw": Accuracy(0.5, 0.25), "per_bag": Accuracy(0.75, 0.625), "over_set": Accuracy(1.0, 0.125)}


def _text(rows, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(result_table(rows, "data, test split"))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_fits_and_shows_each_figure(result, width):
    rows = [ResultRow("DGL, last checkpoint", result, REFINE, 123.4), ResultRow("untrained network", result)]
    text = _text(rows, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for shown in ("R1", "R5", "R10", "mINP", "50.0", "(25.0)", "75.0", "(62.5)", "100.0", "(12.5)", "123", "n/a"):
        assert shown in text, shown
    assert percent(result.map_step) in text
    assert percent(result.map_trapezoid) in text


def test_what_is_not_known_is_na(result):
    figures = ResultRow("x", None).figures()
    assert set(figures.values()) == {None}
    assert _text([ResultRow("x", None)], 100).count("n/a") == 10


def test_the_definition_names_what_must_be_known(result):
    line = definition_line(result, truth=True, labelled_val_ids=3)
    for part in ("2 of 3 queries", "metric: cosine", "ties: mid", "junk: ", "identities used: 3", "Used truth"):
        assert part in line, part
    assert "Used truth" not in definition_line(result, truth=False, labelled_val_ids=0)


def test_results_json_has_the_same_figures(result, tmp_path):
    row = ResultRow("x", result, REFINE, 2.0)
    write_results(tmp_path / "r.json", [row], about={"data": "d"}, definition=result.definition)
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["rows"][0] == {"name": "x", **row.figures()}
    assert content["rows"][0]["refine_per_bag_random"] == 0.625
    assert content["definition"]["metric"] == "cosine"
    assert content["data"] == "d"
