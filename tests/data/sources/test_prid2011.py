import numpy as np
import pytest

from wsreid.data.records import Split
from wsreid.data.sources.prid2011 import PRID2011
from wsreid.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("prid") / "prid_2011"
    for camera, persons in (("a", 385), ("b", 749)):
        folder = root / "single_shot" / f"cam_{camera}"
        folder.mkdir(parents=True)
        for person in range(1, persons + 1):
            (folder / f"person_{person:04d}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "readme.txt").write_bytes(b"x")
    return root


def test_the_whole_set_single_shot(whole):
    records = PRID2011().index(whole.parent)
    assert np.bincount(records.split).tolist() == [200, 100, 649]
    assert len(records.identities) == 100
    assert records.identities.max() <= 200
    gallery = records.pid[records.split == Split.GALLERY]
    assert len(np.unique(gallery)) == 649
    assert (gallery > 200).sum() == 549
    assert set(records.camera[records.split == Split.GALLERY].tolist()) == {2}
    assert records.notes == (
        "split 0 of 0..9, drawn here by seed: 100 identities train, 100 are tested, queries from camera A",
        "185 images of persons that the queries' camera alone saw are left out",
    )


def test_from_camera_b_the_others_of_camera_a_join_the_gallery(whole):
    records = PRID2011(query_camera="b").index(whole)
    assert np.bincount(records.split).tolist() == [200, 100, 285]
    in_gallery = [f for f, s in zip(records.file, records.split, strict=True) if s == Split.GALLERY]
    assert all(file.startswith("single_shot/cam_a/") for file in in_gallery)
    assert records.notes[1:] == ("549 images of persons that the queries' camera alone saw are left out",)


def test_frames_of_the_multi_shot_version(tmp_path, put):
    for camera in "ab":
        for person in (1, 2, 3, 201):
            put(*(f"multi_shot/cam_{camera}/person_{person:04d}/{frame:04d}.png" for frame in (9, 10, 1)))
        put(f"multi_shot/cam_{camera}/person_0001/Thumbs.db", data=b"x")
    records = PRID2011(shots="multi").index(tmp_path)
    assert np.bincount(records.split).tolist() == [6, 6, 9]
    assert records.frame[:3].tolist() == [1, 9, 10]
    assert records.problems == ()
    assert not any("images, published" in note for note in records.notes)
    assert "whole set: 5 identities, published are 934" in records.notes
    before = PRID2011(shots="multi").fingerprint(tmp_path)
    put("multi_shot/cam_a/person_0001/0011.png")
    assert PRID2011(shots="multi").fingerprint(tmp_path) != before


def test_names_that_are_none(tmp_path, put):
    good = [f"single_shot/cam_{camera}/person_000{person}.png" for camera in "ab" for person in (1, 2)]
    bad = ["person_0000.png", "person_1.png", "person_0001 (2).png", "0001.png"]
    put(*good, *(f"single_shot/cam_b/{name}" for name in bad), "single_shot/cam_a/person_0001.PNG")
    records = PRID2011().index(tmp_path)
    expected = ["single_shot/cam_a/person_0001.png", *(f"single_shot/cam_b/{name}" for name in bad)]
    assert sorted(p.file for p in records.problems) == sorted(expected)
    assert sorted(file.lower() for file in records.file) == sorted(good)


def test_errors(whole, tmp_path):
    with pytest.raises(DataError, match=r"no folder 'multi_shot/cam_a'.*tugraz"):
        PRID2011(shots="multi").index(whole)
    with pytest.raises(DataError, match=rf"Did you mean {whole}\?"):
        PRID2011().index(whole / "single_shot")
    with pytest.raises(ConfigError, match="single or multi"):
        PRID2011(shots="some")
