"""Checks the options of all runs of a study before the first starts, in a process of its own: a study stays light."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence

from wsreid.class_paths import allowing
from wsreid.errors import ConfigError, WsreidError
from wsreid.study.plan import PlannedRun

_OURS = ["-m", "wsreid"]


def check_runs(runs: Sequence[PlannedRun]) -> None:
    """Parses the command line of each line and setting of a study, without making anything.

    Args:
        runs: The runs; those that differ in their seed alone are parsed once.

    Raises:
        ConfigError: The runs that would not start, and why.
    """
    distinct: dict[str, tuple[PlannedRun, list[str]]] = {}
    for run in runs:
        words = run.command()
        if words[1:3] == _OURS:
            distinct.setdefault(json.dumps([str(run.config), dict(run.options)], default=str), (run, words[3:]))
    if not distinct:
        return
    lines = [args for _, args in distinct.values()]
    command = [sys.executable, "-m", __name__]
    done = subprocess.run(command, input=json.dumps(lines), capture_output=True, text=True)
    try:
        found: list[str | None] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise WsreidError(f"The options of the study could not be checked:\n{done.stderr.strip()}") from None
    wrong = [f"{run.name}: {text}" for (run, _), text in zip(distinct.values(), found, strict=True) if text is not None]
    if wrong:
        raise ConfigError("No run was started, as some cannot be.\n" + "\n".join(wrong))


def _problems(lines: list[list[str]]) -> list[str | None]:
    from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

    from wsreid.cli.stop_signals import StopSignals
    from wsreid.cli.suite import SuiteCLI

    found: list[str | None] = []

    class Parsed(Exception):  # noqa: N818  # no error: it ends the command once all lines are read
        pass

    class Parser(SuiteCLI):
        def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # as in SuiteCLI
            return LightningCLI.subcommands()  # of any line

        def parse_arguments(self, parser: LightningArgumentParser, args: object) -> None:
            for line in lines:  # one parser for all: it takes longer to make than to use
                try:
                    super().parse_arguments(parser, line)
                    found.append(None)
                except WsreidError as error:
                    found.append(str(error))
            raise Parsed

    with contextlib.suppress(Parsed), contextlib.ExitStack() as stack, allowing():
        Parser(stack, lines[0], StopSignals())
    return found


def _answer() -> None:
    from wsreid.cli.quiet import quiet

    lines = json.loads(sys.stdin.read())
    with quiet():
        found = _problems(lines)
    print(json.dumps(found))


if __name__ == "__main__":
    _answer()
