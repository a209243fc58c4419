import csv
import io
import json

from rich.console import Console

from wsreid.data.dataset_statistics import SetStatistics, published_statistics
from wsreid.data.published import SplitCount
from wsreid.tracking.dataset_table import csv_table, json_table, markdown_table, notes, terminal_table

OWN = SetStatistics(
    name="own",
    title="my [red]set|2",
    measured=True,
    identities=1_234,
    images=56_789,
    cameras="unknown",
    scene="",
    annotation="weak",
    test=SplitCount(321, None),
    origin="/data/own.arrow",
    remarks=("no cameras", "7 junk images"),
)
LINES = [*published_statistics(), OWN]


def test_terminal_shows_all_sets_in_one_line_each_and_reads_no_markup():
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(terminal_table(LINES))
    shown = console.export_text().splitlines()
    assert len(shown) == 1 + len(LINES)
    assert shown[0].split()[:3] == ["data", "set", "figures"]
    for line, row in zip(LINES, shown[1:], strict=True):
        assert row.startswith(line.title)
        assert f" {line.images:,} " in row
        assert ("measured" if line.measured else "published") in row
    assert "n/a" in shown[-1]


def test_measured_lines_are_bold_in_markdown_and_bars_do_not_break_cells():
    rows = [line for line in markdown_table(LINES).splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(LINES)
    assert rows[-1].startswith("| **my [red]set\\|2** | **measured** | **1,234** | **n/a** |")
    assert not any("**" in row for row in rows[:-1])
    assert {row.replace("\\|", "").count("|") for row in rows} == {10}


def test_csv_has_plain_numbers_and_empty_cells_for_what_is_not_known():
    rows = list(csv.DictReader(io.StringIO(csv_table(LINES))))
    assert len(rows) == len(LINES)
    own = rows[-1]
    assert (own["data_set"], own["figures"], own["categories"], own["images"]) == (
        OWN.title,
        "measured",
        "1234",
        "56789",
    )
    assert (own["test_categories"], own["test_images"], own["scene"]) == ("", "321", "")
    assert own["remarks"] == "no cameras; 7 junk images"
    sysu = next(row for row in rows if row["data_set"] == "SYSU-30k")
    assert (sysu["figures"], sysu["images"], sysu["test_images"]) == ("published", "29606918", "480730")


def test_json_gives_back_every_figure():
    own = json.loads(json_table(LINES))[-1]
    assert own["test"] == {"images": 321, "identities": None}
    assert SetStatistics(**{**own, "test": OWN.test, "remarks": tuple(own["remarks"])}) == OWN


def test_notes_say_where_measured_figures_come_from():
    said = notes(LINES)
    assert said[-1] == "my [red]set|2: measured on /data/own.arrow; no cameras; 7 junk images."
    remarked = [line for line in LINES if line.remarks and not line.measured]
    assert len(said) == 2 + len(remarked)
