"""diagnostics.csv: n/a is empty, numbers are read back, a resume and a crash leave whole epochs."""

from wsreid.methods.diagnostics import LabelDiagnostics
from wsreid.methods.diagnostics_file import COLUMNS, cut_after, read_diagnostics, write_epoch

SOME = LabelDiagnostics(n_bags=2, n_images=9, raw=1 / 3, presence=1.0, confused_pairs=((1, 2, 5), (0, 3, 1)))


def epochs(path):
    return [int(row["epoch"]) for row in read_diagnostics(path)]


def test_one_row_for_each_epoch_and_group(tmp_path):
    path = tmp_path / "run" / "diagnostics.csv"
    write_epoch(path, 0, {"all": SOME})
    write_epoch(path, 1, {"all": SOME, "cameras 1": LabelDiagnostics()})
    rows = read_diagnostics(path)
    assert [(row["epoch"], row["group"]) for row in rows] == [("0", "all"), ("1", "all"), ("1", "cameras 1")]
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["raw"], rows[0]["presence"], rows[0]["n_images"]) == ("0.333333", "1", "9")
    assert rows[0]["confused_pairs"] == "1>2:5 0>3:1"
    assert (rows[0]["entropy"], rows[2]["raw"], rows[2]["confused_pairs"], rows[2]["n_images"]) == ("", "", "", "0")
    assert [p.name for p in path.parent.iterdir()] == ["diagnostics.csv"]


def test_an_epoch_written_again_replaces_itself_and_what_came_after(tmp_path):
    path = tmp_path / "diagnostics.csv"
    for epoch in range(4):
        write_epoch(path, epoch, {"all": SOME})
    write_epoch(path, 2, {"all": LabelDiagnostics(n_images=1)})
    assert epochs(path) == [0, 1, 2]
    assert read_diagnostics(path)[2]["n_images"] == "1"


def test_cut_after(tmp_path):
    path = tmp_path / "diagnostics.csv"
    cut_after(path, 3)
    assert not path.exists()
    for epoch in range(4):
        write_epoch(path, epoch, {"all": SOME, "cameras 2": SOME})
    cut_after(path, 1)
    assert epochs(path) == [0, 0, 1, 1]
    cut_after(path, -1)
    assert epochs(path) == []


def test_half_a_line_is_dropped(tmp_path):
    path = tmp_path / "diagnostics.csv"
    write_epoch(path, 0, {"all": SOME})
    path.write_text(path.read_text() + "1,all,2,")
    assert epochs(path) == [0]
    write_epoch(path, 1, {"all": SOME})
    assert epochs(path) == [0, 1]
