import logging

from wsreid.data.tars import progress as module
from wsreid.data.tars.progress import progress


def test_lines_in_the_log_with_what_is_left(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO, "wsreid"), progress("reading", 4 << 30) as tell:
        for now[0], done in ((10, 1 << 29), (60, 1 << 30), (70, 2 << 30)):
            tell(done)
    assert caplog.messages == ["reading: 1.0 of 4.0 GiB, about 3 min 00 s left"]


def test_a_bar_in_a_terminal_alone(monkeypatch, capsys):
    monkeypatch.setattr(module.Console, "is_terminal", True)
    with progress("reading", 4) as tell:
        tell(4)
    assert "reading" in capsys.readouterr().err
    with progress("reading", 0) as tell:
        tell(0)
    assert capsys.readouterr().err == ""
