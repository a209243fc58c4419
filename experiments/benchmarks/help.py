"""How long `--help` takes: each command, and fit beside what importing Lightning costs.

    python experiments/benchmarks/help.py [--repeats 5]

Each answer is a process of its own; Lightning's import is timed before each of those that need it, and the median of
the pairs' differences counts. Time is the clock's, and the processor's beside it, which other work on the machine
hardly changes. Prints a table, and one JSON object on the last line.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from wsreid.cli.main import OTHERS, SUITE

LIMIT_S = 1.0
LIGHTNING = ("-c", "import lightning.pytorch")


class Taken(NamedTuple):
    """Seconds of one process, from its start to its end.

    Attributes:
        clock: By the clock.
        processor: Of the processor, user and system.
    """

    clock: float
    processor: float


def taken(words: Sequence[str]) -> Taken:
    """Times one process.

    Args:
        words: What Python is given.
    """
    spent, begin = _children(), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return Taken(time.perf_counter() - begin, _children() - spent)


def measured(repeats: int, commands: Sequence[str]) -> dict[str, Taken]:
    """Median seconds of each command's help; of what it takes beyond Lightning's import, where it needs Lightning.

    Args:
        repeats: How often each is asked.
        commands: The commands; "" is `--help` alone.

    Returns:
        By command; Lightning's import under "lightning", if it was timed.
    """
    found: dict[str, list[Taken]] = {}
    for _ in range(repeats):
        for name in commands:
            floor = Taken(0, 0)
            if name in SUITE:
                floor = taken(LIGHTNING)
                found.setdefault("lightning", []).append(floor)
            ours = taken(["-m", "wsreid", *name.split(), "--help"])
            found.setdefault(name, []).append(Taken(*(a - b for a, b in zip(ours, floor, strict=True))))
    return {name: Taken(*map(statistics.median, zip(*each, strict=True))) for name, each in found.items()}


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--commands", nargs="*", default=["", *OTHERS, *SUITE])
    options = parser.parse_args()
    found = measured(options.repeats, options.commands)
    print(f"seconds; of {', '.join(SUITE)} beyond importing Lightning; the limit is {LIMIT_S} s by the clock")
    print(f"{'command':<12}  clock  processor")
    for name, seconds in found.items():
        print(f"{name or '--help':<12} {seconds.clock:6.2f}  {seconds.processor:9.2f}")
    print(json.dumps({name or "help": {k: round(v, 2) for k, v in s._asdict().items()} for name, s in found.items()}))


if __name__ == "__main__":
    main()
