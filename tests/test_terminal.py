import io
import re
from pathlib import Path

from rich.table import Table

import wsreid
from wsreid.cli.bar import bar
from wsreid.data.tars import progress as tar_progress
from wsreid.terminal import Console

NAME = "r [x] [/b] :dog:"


def test_text_titles_heads_and_cells_are_shown_as_they_are():
    console = Console(file=io.StringIO(), width=80)
    console.print(NAME)
    table = Table(title=f"title {NAME}")
    table.add_column(f"head {NAME}")
    table.add_row(f"cell {NAME}")
    console.print(table)
    shown = console.file.getvalue()
    assert shown.splitlines()[0] == NAME
    assert all(f"{what} {NAME}" in shown for what in ("title", "head", "cell"))


def test_a_bar_shows_names_as_they_are(monkeypatch, capsys):
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "200")
    with bar("reading") as watch:
        watch(NAME, 3, 4)
    assert NAME in capsys.readouterr().err
    with tar_progress.progress(NAME, 4) as tell:
        tell(4)
    assert NAME in capsys.readouterr().err


def test_no_module_reads_markup_into_what_it_prints():
    package = Path(wsreid.__file__).parent
    texts = {path.relative_to(package).as_posix(): path.read_text(encoding="utf-8") for path in package.rglob("*.py")}
    own = r"rich\.console import .*\bConsole\b|rich import (console|print)\b|rich\.print\b"
    assert [name for name, text in texts.items() if re.search(own, text)] == ["terminal.py"]
    columns = [(name, args) for name, text in texts.items() for args in re.findall(r"\bTextColumn\((.*?)\)", text)]
    assert len(columns) > 3
    assert [each for each in columns if "markup=False" not in each[1]] == []
