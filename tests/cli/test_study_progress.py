import io
import os
import signal
from pathlib import Path

import pytest
from rich.console import Console

from wsreid.cli import study_progress
from wsreid.cli.study_progress import Progress, Stop
from wsreid.study.carry_out import Outcome
from wsreid.study.plan import PlannedRun


def outcome(**how):
    run = PlannedRun("BagCE", "n2", 0, Path("c.yaml"), {}, "h", Path("f"))
    return Outcome(run, **{"seconds": 30.0, "figures": "mAP 12.3", **how})


def test_lines_say_how_a_run_ended_and_what_is_left(capsys):
    with Progress(4, 2) as progress:
        progress.ended(outcome())
        progress.ended(outcome(figures="", problem="exit code 1", seconds=10.0))
        progress.ended(outcome(figures="", problem="interrupted", stopped=True, seconds=500.0))
        progress.ended(outcome(seconds=0.0))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("[1/4] n2 BagCE seed 0: mAP 12.3, 30 s | 0:00:0")
    assert lines[0].endswith(", about 0:00:45 left")
    assert "FAILED, 10 s" in lines[1]
    assert lines[1].endswith(", about 0:00:20 left")
    assert "stopped, 500 s" in lines[2]
    assert lines[2].endswith(", about 0:00:10 left")
    assert "left" not in lines[3]


def test_a_terminal_shows_a_bar_and_the_same_lines(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(study_progress, "Console", lambda: Console(file=file, force_terminal=True, width=150))
    with Progress(2, 1) as progress:
        progress.ended(outcome())
    text = file.getvalue()
    assert "[1/2] n2 BagCE seed 0: mAP 12.3, 30 s" in text
    assert "1/2" in text.split("30 s")[-1]
    assert "about 0:00:30 left" in text.split("30 s")[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_request_to_stop_is_not_polite(number):
    before = signal.getsignal(number)
    stop = Stop()
    with stop.listening():
        assert not stop.asked()
        os.kill(os.getpid(), number)
        assert stop.asked()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
