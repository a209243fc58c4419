"""The benchmark of a manifest's scale, with a few thousand rows."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from wsreid.data.bags import Bags
from wsreid.data.manifest import Manifest, Split
from wsreid.data.protocols import sysu_bags

FOLDER = Path(__file__).parents[2] / "experiments" / "benchmarks"
ROWS = 40_000


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


@pytest.fixture
def benchmark(load):
    return load("manifest")


@pytest.fixture
def made(benchmark, tmp_path):
    benchmark.measure_manifest(tmp_path, ROWS)
    benchmark.measure_bags(tmp_path)
    return tmp_path


def test_the_data_set_has_the_published_shape(load):
    simulated = load("simulated_sysu")
    images = simulated.ROWS - simulated.QUERIES - simulated.GALLERY
    sizes = simulated.folder_sizes(simulated.FOLDERS, images, np.random.default_rng(0))
    assert (len(sizes), sizes.sum(), sizes.max()) == (28_310, images, 10_000)
    counts, edges = np.histogram(sizes, bins=np.arange(0, 10_001, 100))
    assert 400 <= edges[counts.argmax()] < 600
    assert simulated.GALLERY == simulated.QUERIES + simulated.DISTRACTORS


def test_the_simulated_set_is_what_the_package_would_make(made, load):
    manifest, bags = Manifest.open(made / "manifest.arrow"), Bags.open(made / "bags.arrow")
    manifest.check()
    bags.check_against(manifest)
    assert len(manifest) == ROWS
    assert len({manifest.file(row) for row in range(0, ROWS, 100)}) == 11
    rows, folders = manifest.rows(Split.TRAIN), manifest.identities
    assert len(bags) == 3 * len(folders)
    sliding = sysu_bags(rows, manifest.sequence[rows], folders, label_file=None, widths=(1, 3, 5))
    assert Bags.from_draft(sliding, bags.settings, manifest.hash).hash == bags.hash


def test_each_measurement(made, benchmark):
    figures = benchmark.measure_open(made) | benchmark.measure_memory(made) | benchmark.measure_epoch(made)
    assert figures["open_s"] > 0
    assert figures["first_batch_s"] > 0
    assert figures["epoch_order_s"] > 0
    assert figures["rss_mb"] < 250
    assert figures["images_drawn"] == 8 * len(Bags.open(made / "bags.arrow"))


def test_workers_are_measured(made, benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "DECODED", 2)
    figures = benchmark.measure_workers(made, 1)
    assert 1 < figures["worker_reading_mb"] < 400
    assert 1 < figures["worker_looking_up_mb"] <= figures["worker_mb"]


def test_looking_up_rows_maps_no_page(benchmark, tmp_path):
    """The columns are megabytes; a process that looks images up at random must not grow to them."""
    benchmark.measure_manifest(tmp_path, 400_000)
    manifest = Manifest.open(tmp_path / "manifest.arrow")
    rows = np.random.default_rng(0).integers(0, len(manifest), 1000)

    def mapped() -> int:
        after = Path("/proc/self/smaps").read_text().split(str(manifest.path))[1]
        return int(after.split("Rss:")[1].split()[0])

    before = mapped()
    found = [manifest.location(int(row)).offset for row in rows]
    frames = manifest.take("frame", rows)
    assert mapped() == before
    assert found == manifest.offset[rows].tolist()
    assert mapped() > before + 1000, "indexing maps the column, or this test shows nothing"
    assert frames.tolist() == manifest.frame[rows].tolist()


def test_last_line_has_exactly_the_figures(benchmark, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        benchmark, "fresh", lambda name, folder, rows, workers: dict.fromkeys(benchmark.AIMS, 0.5) | {name: 1}
    )
    benchmark.main(["--rows", "10", "--folder", str(tmp_path)])
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(last) == {"open_s", "rss_mb", "first_batch_s", "epoch_order_s", "worker_mb"}
