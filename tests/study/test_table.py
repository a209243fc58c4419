import csv
import io

import pytest
from rich.console import Console

from wsreid.study.comparison import compare
from wsreid.study.plan import planned_runs
from wsreid.study.study_file import read_study
from wsreid.study.table import csv_table, markdown, remarks, terminal_table


@pytest.fixture
def tables(study, folder, make_record):
    runs = planned_runs(study, folder)
    ap = {"Oracle": (0.9, 0.7), "BagCE": (0.3, 0.1)}
    made = [
        make_record(r.label, r.setting, r.seed, ap[r.label], r.hash, R1=40.0 + 2 * r.seed)
        for r in runs
        if r.label in ap and (r.label, r.seed) != ("Oracle", 1)
    ]
    return compare(study, runs, {record.key: record for record in made})


def test_markdown_has_a_table_a_setting(study, tables):
    text = markdown(study, tables)
    assert text.count("| method | learns from | needs | mAP | mAP interval | R1 | gap closed | vs BagCE |") == 2
    rows = [line for line in text.splitlines() if line.startswith(("| Oracle", "| BagCE"))]
    assert len(rows) == 4
    assert rows[0] == (
        "| Oracle | **true identities** | t | 80.0 | [70.0, 90.0] | 40.0 | 100 | +60.0 [+60.0, +60.0]* "
        "| 50.0 / 50.0 / 50.0 | 20 | 900 | 1 of 2 |"
    )
    assert "| BagCE | bag labels | t | 20.0 ± 0.0 | [10.0, 30.0] | 41.0 ± 1.4 | 0 | - |" in rows[1]
    assert "Not yet run: dgl_official." in text
    assert "Seeds still missing: Oracle (seeds 1)." in text
    assert "random in-bag assignments: 50.0 / 50.0 / 50.0" in text
    assert "Gap closed = (mAP - BagCE) / (Oracle - BagCE)" in text


def test_the_number_of_cells_is_that_of_the_heads(write_study, folder, recorded):
    study = read_study(write_study(baseline=None, oracle=None, reference=None))
    runs = planned_runs(study, folder)
    records = recorded(runs, total_seconds=None, peak_mib=None, refine_raw=None, refine_raw_random=None)
    text = markdown(study, compare(study, runs, records))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {11}
    assert "gap" not in text.lower()
    assert "| n/a | n/a | n/a | 2 of 2 |" in rows[2]


def test_csv_has_each_number(study, tables):
    rows = list(csv.DictReader(io.StringIO(csv_table(study, tables))))
    assert [(row["setting"], row["label"]) for row in rows] == [
        (s, m) for s in ("n2", "n4") for m in ("Oracle", "BagCE")
    ]
    oracle, bagce = rows[:2]
    assert (oracle["learns_from"], oracle["seeds"], oracle["missing_seeds"]) == ("true identities", "0", "1")
    assert float(bagce["mAP_step"]) == 20
    assert float(bagce["R1_sd"]) == pytest.approx(2**0.5, abs=1e-4)
    assert (float(oracle["mAP_step_interval_low"]), float(oracle["mAP_step_interval_high"])) == (70, 90)
    assert float(oracle["difference"]) == 60
    assert (bagce["difference"], bagce["fit_seconds"]) == ("", "")
    assert float(oracle["gap_closed"]) == 100


def test_the_terminal_shows_the_same(study, tables):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal_table(study, tables[0]))
    text = console.export_text()
    assert text.startswith("s, n2")
    assert "+60.0 [+60.0, +60.0]*" in text
    assert "1 of 2" in text
    assert remarks(study, tables[0])[1] == "Not yet run: dgl_official."
