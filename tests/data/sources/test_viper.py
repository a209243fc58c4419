import pickle

import numpy as np
import pytest

from wsreid.data.manifest import Manifest, write_manifest
from wsreid.data.records import Split
from wsreid.data.sources.viper import VIPeR
from wsreid.errors import ConfigError

NUMBERS = ["000", "001", "013", "872", "873"]


@pytest.fixture
def root(tmp_path, put):
    for number in NUMBERS:
        put(f"VIPeR/cam_a/{number}_0.bmp", f"VIPeR/cam_b/{number}_90.bmp")
    put("VIPeR/cam_a/Thumbs.db", "VIPeR/README.txt", data=b"x")
    return tmp_path


def test_number_000_is_a_person_and_no_distractor(root, tmp_path):
    records = VIPeR().index(root)
    assert records.pid_names == tuple(NUMBERS)
    assert sorted(set(records.pid.tolist())) == [1, 2, 3, 4, 5]
    for file, pid, camera in zip(records.file, records.pid.tolist(), records.camera.tolist(), strict=True):
        assert file.startswith(f"VIPeR/cam_{'ab'[camera - 1]}/{NUMBERS[pid - 1]}_")
    assert np.bincount(records.split).tolist() == [4, 3, 3]
    assert records.problems == ()
    write_manifest(tmp_path / "m.arrow", records, source="viper", root=root)
    Manifest.open(tmp_path / "m.arrow").check()


def test_differences_are_reported_by_number(root):
    assert VIPeR().index(root).notes[1:3] == (
        "train: 4 images, published are 632",
        "train: 2 identities, published are 316",
    )


def test_the_whole_set_has_no_difference(tmp_path, put):
    for number in range(632):
        put(f"cam_a/{number:03d}_45.bmp", f"cam_b/{number:03d}_135.bmp")
    for query_camera in ("a", "b"):
        records = VIPeR(split=9, query_camera=query_camera).index(tmp_path)
        assert np.bincount(records.split).tolist() == [632, 316, 316]
        camera = query_camera.upper()
        assert records.notes == (
            f"split 9 of 0..9, drawn here by seed: 316 identities train, 316 are tested, queries from camera {camera}",
        )
        assert set(records.camera[records.split == Split.QUERY].tolist()) == {1 if query_camera == "a" else 2}


def test_images_converted_besides_and_foreign_names(root, put):
    put("VIPeR/cam_a/000_0.png", "VIPeR/cam_b/001_90 copy.bmp", "VIPeR/cam_b/2_90.bmp", "VIPeR/cam_b/014_45.BMP")
    records = VIPeR().index(root)
    assert [str(p).partition(" has ")[::2] for p in records.problems] == [
        ("VIPeR/cam_b/001_90 copy.bmp", "a name that does not parse: expected one like 000_45.bmp"),
        ("VIPeR/cam_b/2_90.bmp", "a name that does not parse: expected one like 000_45.bmp"),
        ("VIPeR/cam_a/000_0.png", "the identity, camera and number of VIPeR/cam_a/000_0.bmp: keep one"),
    ]
    assert "1 identities were seen by one camera alone and are left out" in records.notes


def test_settings(root):
    assert VIPeR(1).fingerprint(root) != VIPeR(2).fingerprint(root)
    assert pickle.loads(pickle.dumps(VIPeR(1, "b"))) == VIPeR(1, "b") != VIPeR(1)
    with pytest.raises(ConfigError, match="viper: split must be 0 to 9"):
        VIPeR(split=10)
