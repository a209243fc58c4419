"""`python -m tests.fuzz.run TARGET SECONDS`: fuzzes a target with atheris; see README.md here."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["wsreid.data.tars", "wsreid.data.images", "wsreid.data.image_header"]):
    from tests.fuzz.seeds import seeds
    from tests.fuzz.targets import TARGETS


def main(name: str, seconds: str) -> None:
    crashes = Path(__file__).parent / "crashes" / name
    crashes.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(seeds(name, Path(corpus))):
            (Path(corpus) / f"seed{number}").write_bytes(data)
        options = [
            corpus,
            f"-max_total_time={seconds}",
            f"-artifact_prefix={crashes}/",
            "-max_len=20480",
            "-timeout=60",
            "-report_slow_units=60",
        ]
        atheris.Setup([sys.argv[0], *options], lambda data: TARGETS[name](data))
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
