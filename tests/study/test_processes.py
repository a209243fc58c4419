import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from wsreid.study.processes import Job, mark_failed, run_jobs, tail


@pytest.fixture
def job(tmp_path):
    def make(name, code):
        command = (sys.executable, "-c", code)
        return Job(name, command, tmp_path / "logs" / f"{name}.log", tmp_path / "logs" / f"{name}.json")

    return make


def test_a_failure_does_not_stop_the_others(job):
    jobs = [job("a", "pass"), job("b", "import sys; print('lost'); sys.exit(3)"), job("c", "pass")]
    jobs.append(job("d", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    ended = {each.job.name: each for each in run_jobs(iter(jobs), at_once=2, threads=1)}
    assert {name: each.code for name, each in ended.items()} == {"a": 0, "b": 3, "c": 0, "d": -9}
    assert [name for name, each in ended.items() if each.ok] == ["a", "c"]
    assert tail(ended["b"].job.log).splitlines()[-1] == "lost"


def test_no_more_than_asked_for_run_at_once(job, tmp_path):
    code = "import pathlib, time; p = pathlib.Path({!r}); p.touch(); time.sleep(1); "
    code += "print(len(list(p.parent.iterdir()))); p.unlink()"
    there = tmp_path / "there"
    there.mkdir()
    jobs = [job(f"j{i}", code.format(str(there / str(i)))) for i in range(5)]
    counts = [int(tail(each.job.log, 1)) for each in run_jobs(iter(jobs), at_once=2, threads=1)]
    assert max(counts) == 2


def test_threads_are_limited_and_output_is_kept(job):
    code = "import os, sys; print(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS']); "
    code += "print('e', file=sys.stderr)"
    (ended,) = run_jobs(iter([job("a", code)]), at_once=1, threads=3)
    text = ended.job.log.read_text()
    assert text.startswith(f"$ {sys.executable} -c")
    assert "3 3" in text.splitlines()
    assert "e" in text.splitlines()


def test_seconds_add_up_over_the_goes_of_a_run(job):
    first = job("a", "import time; time.sleep(.4)")
    (ended,) = run_jobs(iter([first]), at_once=1, threads=1)
    cost = json.loads(first.cost_file.read_text())
    assert ended.seconds >= 0.4
    assert cost["seconds"] == pytest.approx(ended.seconds, abs=0.01)
    (again,) = run_jobs(iter([job("a", "pass")]), at_once=1, threads=1)
    later = json.loads(first.cost_file.read_text())
    assert later["seconds"] == pytest.approx(ended.seconds + again.seconds, abs=0.02)


MEASURE = """
import sys
from pathlib import Path
from wsreid.cli import study
from wsreid.study.processes import Job, run_jobs
for size in (200, 1):
    code = f"x = bytearray({size} * 2**20); x[::4096] = b'1' * len(x[::4096])"
    job = Job("a", (sys.executable, "-c", code), Path("log"), Path(f"{size}.json"))
    list(run_jobs(iter([job]), at_once=1, threads=1))
assert not {"torch", "lightning", "matplotlib"} & set(sys.modules)
"""


def test_peak_memory_is_measured_from_a_light_process(tmp_path):
    # The peak of a child starts at the size of its parent, and pytest is large: hence a process of its own.
    subprocess.run([sys.executable, "-c", MEASURE], check=True, cwd=tmp_path)
    large, small = (json.loads((tmp_path / f"{size}.json").read_text())["peak_mib"] for size in (200, 1))
    assert small < 150
    assert 200 < large < 300


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def _started(request):
    """A process in the background ignores interrupts, and so would its children."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_started")
def test_asked_to_stop_running_jobs_are_interrupted_and_no_other_starts(job, tmp_path):
    flag, begun = tmp_path / "saved", tmp_path / "begun"
    code = (
        "import pathlib, time\n"
        f"try:\n    pathlib.Path({str(begun)!r}).touch()\n    time.sleep(60)\n"
        f"except KeyboardInterrupt:\n    pathlib.Path({str(flag)!r}).touch()"
    )
    start = time.monotonic()
    ended = list(run_jobs(iter([job("a", code), job("b", "pass")]), at_once=1, threads=1, stop=begun.exists))
    assert time.monotonic() - start < 20
    assert [(each.job.name, each.stopped, each.ok) for each in ended] == [("a", True, False)]
    assert flag.exists()


def test_leaving_early_leaves_no_process_behind(job, tmp_path):
    pid = tmp_path / "pid"
    code = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(60)"
    jobs = run_jobs(iter([job("a", code), job("b", "pass")]), at_once=2, threads=1)
    assert next(jobs).job.name == "b"
    while not (pid.exists() and pid.read_text()):
        time.sleep(0.05)
    jobs.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), signal.SIG_DFL)


def test_the_tail_of_a_log_shows_the_last_state_of_a_bar(tmp_path):
    log = tmp_path / "x.log"
    assert tail(log) == ""
    log.write_text("".join(f"line {i}\n" for i in range(50)) + "0 %\r50 %\r100 %\n\n")
    assert tail(log, 2) == "line 49\n100 %"


def test_the_cost_says_whether_the_last_go_failed(job):
    def failed(code, **how):
        list(run_jobs(iter([job("a", code)]), at_once=1, threads=1, **how))
        return json.loads(job("a", "").cost_file.read_text())["failed"]

    assert failed("raise SystemExit(3)")
    assert not failed("pass")
    mark_failed(job("a", "").cost_file)
    assert json.loads(job("a", "").cost_file.read_text())["failed"]
    begun = iter([False, False])
    assert not failed("import time; time.sleep(60)", stop=lambda: next(begun, True))  # it was stopped


def test_a_go_that_was_not_seen_to_its_end_makes_the_sum_incomplete(job):
    first = job("a", "import json, pathlib, sys; print(pathlib.Path(sys.argv[1]).read_text())")
    first = replace(first, command=(*first.command, str(first.cost_file)))

    def cost_after_a_go():
        list(run_jobs(iter([first]), at_once=1, threads=1))
        return json.loads(first.cost_file.read_text())

    whole = cost_after_a_go()
    assert json.loads(tail(first.log, 1))["open"]  # while it ran
    assert not whole.get("open")
    assert not whole["incomplete"]
    first.cost_file.write_text(json.dumps(whole | {"open": True}))
    assert cost_after_a_go()["incomplete"]
    assert cost_after_a_go()["incomplete"]
