"""What a user sees while waiting."""

import pytest
from rich import console as rich_console

from wsreid.cli.bar import bar
from wsreid.retrieval.watching import LogLines


def test_a_terminal_gets_a_bar_that_goes_when_it_is_done(monkeypatch, capsys):
    monkeypatch.setattr(rich_console.Console, "is_terminal", property(lambda self: True))
    with bar("reading") as watch:
        watch("ranking", 3, 4)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "ranking" in shown.err
    assert "75%" in shown.err


def test_no_terminal_gets_lines_in_the_log(capsys):
    with bar("reading") as watch:
        assert isinstance(watch, LogLines)
    assert capsys.readouterr() == ("", "")


def test_the_bar_goes_when_the_work_fails(monkeypatch, capsys):
    monkeypatch.setattr(rich_console.Console, "is_terminal", property(lambda self: True))
    with pytest.raises(ZeroDivisionError), bar("reading"):
        raise ZeroDivisionError
    assert "\x1b[?25h" in capsys.readouterr().err  # the cursor is back
