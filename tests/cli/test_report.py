import subprocess
import sys

import pytest

from tests.tracking.run_folders import make_result, write_run
from wsreid.cli import main
from wsreid.errors import ConfigError, DataError


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The current folder, with two finished runs in `runs`, one that has stopped, and one that is damaged."""
    monkeypatch.chdir(tmp_path)
    for method, first in (("DGL", 0), ("BagCE", 3)):
        write_run(tmp_path / "runs" / method, make_result([[first], [first + 1], [0]]), method=method)
    write_run(tmp_path / "runs" / "stopped", seed=1)
    damaged = write_run(tmp_path / "runs" / "zdamaged", make_result([[0]]))
    (damaged / "retrieval.npz").write_bytes(b"PK")
    return tmp_path


def test_a_file_is_written_and_what_is_missing_is_told(runs, capsys):
    found = main(["report", "runs", "--out", "new/page.html"])
    assert found.file.name == "page.html"
    assert [path.name for path in found.results] == ["BagCE", "DGL", "stopped", "zdamaged"]
    assert [path.name for path in (runs / "new").iterdir()] == ["page.html"]
    assert (runs / "new/page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    out = capsys.readouterr().out
    assert "Written: new/page.html" in out
    assert "3 of 4 runs" in out
    for part in ("Left out: runs/zdamaged", "no ranked lists", "no bags: ", "no images: "):
        assert part in out, part


def test_an_older_page_is_replaced_and_no_other_file(runs):
    page = runs / "report.html"
    for other in ("old", "<!DOCTYPE html><title>mine</title>", ""):
        page.write_text(other)
        with pytest.raises(ConfigError, match=r"--out report\.html: there is such a file, and it is no report"):
            main(["report", "runs/DGL", "--bags", "0"])
        assert page.read_text() == other
    page.unlink()
    for run in ("DGL", "BagCE"):
        main(["report", f"runs/{run}", "--bags", "0"])
        assert f"runs/{run}</td>" in page.read_text(encoding="utf-8")
    assert sorted(path.name for path in runs.iterdir()) == ["report.html", "runs"]


def test_no_word_of_a_run_is_read_as_markup(runs, capsys):
    write_run(runs / "runs" / "[red]x", make_result([[0]])).joinpath("retrieval.npz").write_bytes(b"PK")
    main(["report", "runs", "--bags", "0"])
    assert "Left out: runs/[red]x" in capsys.readouterr().out


def test_mistakes_are_told_in_one_line(runs):
    for args, message in (
        ([], "Missing: RUNS"),
        (["runs", "--query", "3"], "did you mean --queries"),
        (["runs", "--queries", "0"], "--queries 0: expected at least 1"),
        (["runs", "--bags", "-1"], "--bags -1: expected at least 0"),
        (["runs", "--out", "runs"], "it is a folder"),
        (["runs", "--baseline", "CC"], "no such group"),
    ):
        with pytest.raises(ConfigError, match=message):
            main(["report", *args])
    for path in ("nothing", "runs/DGL/config.yaml"):
        with pytest.raises(DataError):
            main(["report", path])
    assert sorted(path.name for path in runs.iterdir()) == ["runs"]


def test_help_needs_neither_plotly_nor_torch():
    code = (
        "import sys; from wsreid.cli import main\n"
        "try: main(['report', '--help'])\n"
        "except SystemExit: print(sorted({'torch', 'plotly', 'pandas', 'lightning', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--queries" in done.stdout
    assert done.stdout.rstrip().endswith("[]")  # each of them takes longer than the second that help may take
