"""Help answers at once: what a command needs is loaded when it runs, not when it is asked what it can do."""

import subprocess
import sys

import pytest

from wsreid.cli.main import OTHERS

CODE = (
    "import contextlib, io, sys\n"
    "from wsreid.cli.main import main\n"
    "for words in sys.argv[1:]:\n"
    "    shown = io.StringIO()\n"
    "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(shown):\n"
    "        main([*words.split(), '--help'])\n"
    "    assert 'usage: python -m wsreid' in shown.getvalue(), words\n"
    "print(*sorted({'torch', 'lightning', 'matplotlib', 'timm', 'wandb', 'faiss'} & set(sys.modules)))"
)


def loaded_by_help(*commands):
    child = [sys.executable, "-c", CODE, *commands]
    return subprocess.run(child, check=True, capture_output=True, text=True, timeout=300).stdout.split()


@pytest.mark.parametrize("command", ["", *OTHERS])
def test_help_of_our_own_commands_loads_neither_torch_nor_matplotlib(command):
    assert loaded_by_help(command) == []


def test_help_of_lightnings_commands_loads_neither_timm_nor_wandb():
    assert not {"timm", "wandb", "faiss"} & set(loaded_by_help("fit"))
