"""How long `--help` takes: each command, and fit beside what importing Lightning costs.

    python experiments/benchmarks/help.py [--repeats 5]

Each answer is a process of its own; the median of the repeats, which alternate. Prints a table, and one JSON object on
the last line.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from wsreid.cli.main import OTHERS, SUITE

LIMIT_S = 1.0


def seconds(words: list[str]) -> float:
    """Seconds of one process.

    Args:
        words: What Python is given.

    Returns:
        From its start to its end.
    """
    begin = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def measured(repeats: int, commands: list[str]) -> dict[str, float]:
    """Median seconds of each command's help, and of importing Lightning, under "lightning".

    Args:
        repeats: How often each is asked.
        commands: The commands; "" is `--help` alone.
    """
    asked = {"lightning": ["-c", "import lightning.pytorch"]}
    asked |= {name: ["-m", "wsreid", *name.split(), "--help"] for name in commands}
    found: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(repeats):
        for name, words in asked.items():
            found[name].append(seconds(words))
    return {name: statistics.median(each) for name, each in found.items()}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    found = measured(repeats, ["", *OTHERS, *SUITE])
    floor = found.pop("lightning")
    over = {name: s - floor if name in SUITE else s for name, s in found.items()}
    print(f"importing Lightning: {floor:.2f} s, taken off below from what needs it; the limit is {LIMIT_S} s")
    print(f"{'command':<12} seconds  of the limit")
    for name, s in found.items():
        print(f"{name or '--help':<12} {s:7.2f}  {over[name] / LIMIT_S:.2f}")
    print(json.dumps({"lightning_s": round(floor, 2), **{name or "help": round(s, 2) for name, s in over.items()}}))


if __name__ == "__main__":
    main()
