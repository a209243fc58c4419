"""The fuzzers' targets hold on their seeds, and on all that has ever broken them (`crashes/`)."""

from pathlib import Path

import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, image, tar_index

CRASHES = sorted(path for path in (Path(__file__).parent / "crashes").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name, tmp_path):
    results = [TARGETS[name](data) for data in seeds(name, tmp_path)]
    assert (
        results
        == {
            "image": [(8, 6, 3)] * 9 + [None],
            "tar_index": [2, 2, 2, 0, 1, 1, 1, 1, 0],
        }[name]
    )


@pytest.mark.parametrize("path", CRASHES, ids=lambda path: f"{path.parent.name}-{path.name[:20]}")
def test_what_a_fuzzer_has_found(path):
    TARGETS[path.parent.name](path.read_bytes())


def test_targets_take_anything():
    assert tar_index(b"") == 0
    assert image(b"") is None
