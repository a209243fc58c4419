"""Nothing is fetched and nobody is told, unless an option asks for it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.network_guard import connections
from tests.experiments.test_configs import EXPERIMENTS, TINY_RUN
from wsreid.cli import main

ROOT = Path(__file__).parents[2]
WANDB_AS_SHIPPED = [word for word in TINY_RUN if word not in ("--wandb.mode", "disabled")]
SMALL = ["fit", "--config", str(EXPERIMENTS / "quickstart.yaml"), "--data.rendered.train_ids", "12"]
SMALL += ["--data.rendered.test_ids", "8", "--data.rendered.cameras", "3", "--model.backbone", "test_resnet"]
ALONE = """
import fcntl, re, socket, struct, sys
from pathlib import Path

# A new network namespace has nothing but a loopback that is down: 0x8914 is SIOCSIFFLAGS, 0x1 IFF_UP.
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
    fcntl.ioctl(made, 0x8914, struct.pack("16sh22x", b"lo", 0x1))
assert len(Path("/proc/net/dev").read_text().splitlines()) == 3, "there is a way out"
from wsreid.cli import main

def tried():
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines()[:2])
    return int(dict(zip(names, values, strict=True))["OutNoRoutes"])

if "--connect" in sys.argv:
    sys.argv.remove("--connect")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        try:
            made.sendto(b"", ("192.0.2.1", 9))
        except OSError:
            pass
else:
    main(sys.argv[1:])
print("no route:", tried())
"""


def test_the_guard_hears() -> None:
    with connections() as heard, contextlib.suppress(OSError):
        socket.create_connection(("192.0.2.1", 9), timeout=0.01)
    assert ("socket.connect", ("192.0.2.1", 9)) in heard
    with connections() as heard, contextlib.suppress(OSError):
        socket.getaddrinfo("nowhere.invalid", 80)
    assert heard == [("socket.getaddrinfo", "nowhere.invalid")]
    with connections() as heard, contextlib.suppress(OSError), socket.socket() as made:
        made.connect(("127.0.0.1", 1))
    assert heard == []


def test_the_quickstart_opens_no_connection(tmp_path: Path) -> None:
    with connections() as heard:
        main([*SMALL, *TINY_RUN, "--run", str(tmp_path / "run")])
    assert (tmp_path / "run" / "results.json").is_file()
    assert heard == []


def without_network(words: list[str], folder: Path) -> str:
    alone = ["unshare", "--net", sys.executable, "-c", ALONE, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WANDB_DIR": str(folder)}
    done = subprocess.run(alone, capture_output=True, text=True, cwd=folder, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()[-1]


def _can_unshare() -> bool:
    return shutil.which("unshare") is not None and subprocess.run(["unshare", "--net", "true"]).returncode == 0


@pytest.mark.slow  # a process that loads everything, and W&B's
@pytest.mark.skipif(not _can_unshare(), reason="this system does not let the test make a network of its own")
def test_the_quickstart_runs_where_there_is_no_network_and_does_not_look_for_one(tmp_path: Path) -> None:
    """W&B's own process is no Python: the kernel counts what it could not send."""
    assert without_network(["--connect"], tmp_path) == "no route: 1"
    assert without_network([*SMALL, *WANDB_AS_SHIPPED, "--run", "run"], tmp_path) == "no route: 0"
    assert (tmp_path / "run" / "results.json").is_file()
    assert list((tmp_path / "run").rglob("*.wandb"))
