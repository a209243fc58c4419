from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.data.conftest import CAMERAS, FRAMES, TEST_IDS, TRAIN_IDS
from wsreid.data import dataset_statistics
from wsreid.data.dataset_statistics import (
    RENDERED,
    compared,
    distinct,
    measured_statistics,
    published_statistics,
)
from wsreid.data.manifest import ImageRecords, Manifest, write_manifest
from wsreid.data.published import PUBLISHED, SplitCount
from wsreid.data.rendered.dataset import STAMP

NINE = ["cuhk03", "market1501", "dukemtmc_reid", "msmt17", "cuhk01", "prid2011", "viper", "caviar4reid", "sysu30k"]


@pytest.fixture
def manifest_of(tmp_path):
    """Writes and opens a manifest: (split, camera, pid) of each row, training identities, source."""

    def make(rows, identities, source="own", name="m.arrow"):
        split, camera, pid = (np.array(column, np.int64) for column in zip(*rows, strict=True))
        none = np.full(len(rows), -1)
        records = ImageRecords(
            file=[f"{row}.jpg" for row in range(len(rows))],
            offset=none,
            size=none + 100,
            camera=camera,
            sequence=none,
            frame=none,
            split=split,
            pid=pid,
            identities=np.array(identities),
            notes=("a note",),
        )
        write_manifest(tmp_path / name, records, source=source, root=tmp_path / "root")
        return Manifest.open(tmp_path / name)

    return make


def test_all_nine_published_sets_are_there_with_the_figures_of_the_page():
    lines = published_statistics()
    assert sorted(line.name for line in lines) == sorted(NINE)
    assert not any(line.measured for line in lines)
    sysu = next(line for line in lines if line.name == "sysu30k")
    assert (sysu.identities, sysu.images, sysu.cameras, sysu.annotation) == (30_508, 29_606_918, "countless", "weak")
    assert sysu.test == SplitCount(1_000 + 479_730, 1_000)
    duke = next(line for line in lines if line.name == "dukemtmc_reid")
    assert (duke.identities, duke.images, duke.scene) == (1_812, 36_411, "outdoor")
    assert duke.test == SplitCount(2_228 + 17_661, 1_110)


def test_a_set_without_a_fixed_split_has_no_test_figures():
    without = {line.name for line in published_statistics() if line.test is None}
    assert without == {entry.name for entry in PUBLISHED.values() if not entry.splits}


def test_a_manifest_is_counted(market):
    line = measured_statistics(market)
    assert line.measured
    assert (line.name, line.title, line.scene) == ("market1501", "Market-1501", "outdoor")
    assert line.identities == TRAIN_IDS + TEST_IDS
    assert line.images == len(market) == TRAIN_IDS * CAMERAS * FRAMES + TEST_IDS * 3 + 3
    assert (line.cameras, line.annotation) == ("2", "strong")
    assert line.test == SplitCount(TEST_IDS * 3 + 3, TEST_IDS)  # the distractors are images without identity
    assert line.origin == str(market.path)


@pytest.mark.parametrize("chunk", [1, 3, 1 << 22])
def test_unknown_cameras_and_identities_are_said(manifest_of, monkeypatch, chunk):
    monkeypatch.setattr(dataset_statistics, "_CHUNK", chunk)
    weak = measured_statistics(manifest_of([(0, -1, -1), (0, -1, -1), (1, 2, 9), (2, 1, 9), (2, 5, -1)], [3, 4]))
    assert (weak.identities, weak.annotation) == (3, "weak")
    assert weak.cameras == "3 known, some images without"
    assert weak.test == SplitCount(3, 1)
    assert (weak.title, weak.scene, weak.remarks) == ("own", "", ("a note",))
    half = measured_statistics(manifest_of([(0, -1, 3), (0, -1, -1), (0, -1, 4), (0, -1, 4)], [3, 4], name="h.arrow"))
    assert (half.annotation, half.cameras, half.test) == ("strong for 75 %", "unknown", None)
    test = measured_statistics(manifest_of([(2, 1, 3), (2, 1, 0)], [], name="t.arrow"))
    assert (test.annotation, test.identities, test.test) == ("", 1, SplitCount(2, 1))


def test_the_rendered_set_is_not_taken_for_the_set_whose_layout_it_has(manifest_of):
    manifest = manifest_of([(0, 1, 3)], [3], source="market1501")
    assert measured_statistics(manifest).name == "market1501"
    manifest.root.mkdir()
    (manifest.root / STAMP).write_text("x")
    line = measured_statistics(manifest)
    assert (line.name, line.title, line.scene) == (RENDERED, "Rendered pedestrians", "rendered")


def test_measured_lines_follow_their_published_ones_and_own_sets_come_last(market):
    line = measured_statistics(market)
    own = replace(line, name="own", title="own")
    lines = compared([own, line])
    assert len(lines) == 11
    place = next(i for i, found in enumerate(lines) if found.name == "market1501")
    assert [found.measured for found in lines[place : place + 2]] == [False, True]
    assert lines[place + 1] == line
    assert lines[-1] == own
    assert compared([]) == published_statistics()


def test_sets_of_one_title_are_told_apart(market):
    line = measured_statistics(market)
    other = replace(line, origin="/a/b/other.arrow")
    titles = [found.title for found in compared([line, other]) if found.measured]
    assert titles[1] == "Market-1501 (b/other.arrow)"
    assert len(set(titles)) == 2


@given(hnp.arrays(np.int32, st.integers(0, 40), elements=st.integers(-3, 9)), st.integers(1, 9))
def test_distinct_is_what_numpy_finds_at_once(column, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset_statistics, "_CHUNK", chunk)
        assert distinct(column).tolist() == np.unique(column).tolist()
