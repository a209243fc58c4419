import numpy as np
import pytest

from wsreid.data.records import NO_CAMERAS, Split
from wsreid.data.sources.caviar4reid import CAVIAR4REID
from wsreid.errors import ConfigError, DataError


def make(root, per_camera, both=50, alone=22):
    folder = root / "CAVIARa"
    folder.mkdir(parents=True)
    for pid in range(1, both + alone + 1):
        for number in range(1, per_camera * (2 if pid <= both else 1) + 1):
            (folder / f"{pid:04d}{number:03d}.jpg").write_bytes(b"\xff\xd8\xff\xe0\0\0\0\0")
    return root


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make(tmp_path_factory.mktemp("CAVIAR4REID"), 10)


@pytest.mark.parametrize("per_camera", [5, 10])
def test_cameras_follow_from_the_numbers(tmp_path, per_camera):
    records = CAVIAR4REID(split=2).index(make(tmp_path, per_camera))
    assert np.bincount(records.split).tolist() == [72 * per_camera, 25 * per_camera, 25 * per_camera]
    assert len(records.identities) == 25 + 22
    alone = records.pid > 50
    assert set(records.split[alone].tolist()) == {Split.TRAIN}
    assert set(records.camera[alone].tolist()) == {-1}
    expected = 1 + (records.frame[~alone] > per_camera)
    np.testing.assert_array_equal(records.camera[~alone], expected)
    assert records.notes == (
        f"the names do not say the camera: an identity's numbers 1 to {per_camera} are taken for one camera's and "
        f"{per_camera + 1} to {2 * per_camera} for the other's",
        "split 2 of 0..9, drawn here by seed: 47 identities train, 25 are tested, queries from camera A",
        "22 identities were seen by one camera alone and train",
    )


def test_without_cameras_half_of_each_test_identity_s_images_are_queries(whole):
    records = CAVIAR4REID(cameras="unknown").index(whole)
    assert set(records.camera.tolist()) == {-1}
    assert NO_CAMERAS in records.notes
    query, gallery, train = (records.pid[records.split == s] for s in (Split.QUERY, Split.GALLERY, Split.TRAIN))
    np.testing.assert_array_equal(np.unique(query, return_counts=True), np.unique(gallery, return_counts=True))
    assert len(np.unique(query)) == len(np.unique(train)) == 36
    assert not np.intersect1d(query, train).size
    assert len(records) == 1220


def test_a_partial_set_needs_the_count_said(tmp_path, put):
    put(*(f"CAVIARa/{pid:04d}{number:03d}.jpg" for pid in (1, 2) for number in (4, 8, 12)))
    records = CAVIAR4REID().index(tmp_path)
    assert "whole set: 6 images, published are 1,220" in records.notes
    assert dict(zip(records.frame.tolist(), records.camera.tolist(), strict=True)) == {4: 1, 8: 1, 12: 2}
    records = CAVIAR4REID(images_per_camera=5).index(tmp_path)
    assert dict(zip(records.frame.tolist(), records.camera.tolist(), strict=True)) == {4: 1, 8: 2}
    assert [p.file for p in records.problems] == ["CAVIARa/0001012.jpg", "CAVIARa/0002012.jpg"]


def test_names_that_are_none(tmp_path, put):
    put(*(f"CAVIARa/{pid:04d}{number:03d}.JPG" for pid in (1, 2) for number in (1, 6)))
    bad = ["0000001.jpg", "0001000.jpg", "0001 002.jpg", "1.jpg"]
    put(*(f"CAVIARa/{name}" for name in bad))
    put("CAVIARa/Thumbs.db", data=b"x")
    records = CAVIAR4REID().index(tmp_path)
    assert sorted(p.file for p in records.problems) == sorted(f"CAVIARa/{name}" for name in bad)
    assert len(records) == 4


def test_errors(whole, tmp_path):
    with pytest.raises(DataError, match=rf"Did you mean {whole}\?.*lorisbaz"):
        CAVIAR4REID().index(whole / "CAVIARa")
    for arguments, message in (({"cameras": "two"}, "by number"), ({"images_per_camera": 7}, "5 or 10")):
        with pytest.raises(ConfigError, match=message):
            CAVIAR4REID(**arguments)
    assert CAVIAR4REID().fingerprint(whole) != CAVIAR4REID(cameras="unknown").fingerprint(whole)
