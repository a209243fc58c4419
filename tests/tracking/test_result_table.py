import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from wsreid.retrieval.result import RetrievalResult
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


def of_ranks(first, pids, **definition):
    return RetrievalResult.of_ranks(
        [np.array(first_rank, dtype=float) for first_rank in first],
        n_tied=0,
        max_rank=50,
        query_row=np.arange(len(first)),
        query_pid=np.array(pids),
        definition={"metric": "cosine", "ap": "both kinds", "junk": "same camera", "ties": "mid", **definition},
    )


@pytest.mark.parametrize("width", [80, 100])
def test_intervals_stand_under_their_figures(width):
    result = of_ranks([[0]] * 50 + [[3]] * 20 + [[99]] * 30, np.arange(100) // 2)
    lines = _text([ResultRow("DGL, last checkpoint", result, REFINE, 12345.0)], width).splitlines()
    assert max(map(len, lines)) <= width
    low = next(i for i, line in enumerate(lines) if "95 % from" in line)
    for place, line in ((0, lines[low]), (1, lines[low + 1])):
        cells = line.split()[-6:]
        ends = [dataclasses.astuple(i)[1 + place] for i in result.intervals().values()]
        assert cells == [percent(end) for end in ends]
    assert lines[low + 1].split()[0] == "to"


def test_intervals_are_left_out_where_they_cannot_be_told():
    one_identity = of_ranks([[0], [1]], [7, 7])
    unnamed = dataclasses.replace(of_ranks([[0], [1]], [7, 8]), query_pid=None)
    for result in (one_identity, unnamed):
        row = ResultRow("x", result)
        assert row.intervals() == {}
        assert "95 %" not in _text([row], 80)
        assert "Intervals" not in definition_line(result, truth=False, labelled_val_ids=0)


def test_a_protocol_that_counts_misses_shows_its_own_figures():
    result = of_ranks([[0], []], [1, 2], unmatched="missed", protocol="sysu30k")
    assert ResultRow("x", result).figures()["R1"] == 0.5
    line = definition_line(result, truth=False, labelled_val_ids=0)
    for part in ("1 of 2 queries have a match, the others count as misses", "sysu30k", "2 query identities", "seed 0"):
        assert part in line, part


def test_what_is_not_known_is_na(result):
    figures = ResultRow("x", None).figures()
    assert set(figures.values()) == {None}
    assert _text([ResultRow("x", None)], 100).count("n/a") == 6  # refine and seconds, which no row fills, are left out


def test_the_definition_names_what_must_be_known(result):
    line = definition_line(result, truth=True, labelled_val_ids=3)
    for part in ("2 of 3 queries", "metric: cosine", "ties: mid", "junk: ", "identities used: 3", "Used truth"):
        assert part in line, part
    assert "Used truth" not in definition_line(result, truth=False, labelled_val_ids=0)
    assert "refine = " in line
    assert "refine" not in definition_line(result, truth=False, labelled_val_ids=0, refined=False)


def test_results_json_has_the_same_figures(result, tmp_path):
    result = dataclasses.replace(result, query_pid=np.array([1, 2, 3]))
    row = ResultRow("x", result, REFINE, 2.0)
    write_results(tmp_path / "r.json", [row], about={"data": "d"}, definition=result.definition)
    content = json.loads((tmp_path / "r.json").read_text())
    intervals = content["rows"][0].pop("intervals")
    assert intervals == {name: [i.low, i.high] for name, i in row.intervals().items()}
    assert set(content["intervals"]) == {"draws", "level", "seed", "over"}
    assert content["rows"][0] == {"name": "x", **row.figures()}
    assert content["rows"][0]["refine_per_bag_random"] == 0.625
    assert content["definition"]["metric"] == "cosine"
    assert content["data"] == "d"
