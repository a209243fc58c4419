import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.records import Split
from wsreid.data.sources.builder import RecordsBuilder
from wsreid.data.sources.scan import Found
from wsreid.data.sources.two_cameras import SPLITS, Sighting, TwoCameraSplit, without_copies
from wsreid.errors import ConfigError, DataError


def seen(*pids_and_cameras):
    return [Sighting(pid, camera, -1, Found(f"{camera}/{pid}.png", 9)) for pid, camera in pids_and_cameras]


BOTH = seen(*((pid, camera) for pid in range(1, 12) for camera in (1, 2)))


@given(st.sets(st.integers(1, 10_000), min_size=2, max_size=60), st.integers(0, SPLITS - 1))
def test_half_of_the_identities_are_tested_whatever_their_order(identities, split):
    drawn = TwoCameraSplit("viper", split).draw(sorted(identities))
    assert drawn < identities
    assert len(drawn) == (len(identities) + 1) // 2
    assert TwoCameraSplit("viper", split).draw(sorted(identities, reverse=True)) == drawn


def test_the_ten_splits_and_the_data_sets_differ():
    draws = {TwoCameraSplit(name, split).draw(range(100)) for name in ("viper", "cuhk01") for split in range(SPLITS)}
    assert len(draws) == 2 * SPLITS


@pytest.mark.parametrize(("query_camera", "query", "gallery"), [("a", 1, 2), ("b", 2, 1)])
def test_test_identities_are_searched_across_the_cameras(query_camera, query, gallery):
    entries = TwoCameraSplit("viper", 3, query_camera).deal(BOTH, RecordsBuilder("viper"))
    assert entries == sorted(entries)
    by_split = {split: {(e.pid, e.camera) for e in entries if e.split == split} for split in Split}
    train, test = ({pid for pid, _ in by_split[split]} for split in (Split.TRAIN, Split.QUERY))
    assert train.isdisjoint(test)
    assert train | test == set(range(1, 12))
    assert by_split[Split.TRAIN] == {(pid, camera) for pid in train for camera in (1, 2)}
    assert by_split[Split.QUERY] == {(pid, query) for pid in test}
    assert by_split[Split.GALLERY] == {(pid, gallery) for pid in test}


def test_identities_of_one_camera_are_left_out_or_train():
    split, builder = TwoCameraSplit("viper", 0), RecordsBuilder("viper")
    alone = seen((50, 1), (51, 2))
    left_out = split.deal([*BOTH, *alone], builder)
    kept = split.deal([*BOTH, *alone], builder, train_on_one_camera=True)
    assert {e.pid for e in kept} - {e.pid for e in left_out} == {50, 51}
    assert {e.split for e in kept if e.pid >= 50} == {Split.TRAIN}
    notes = builder.records().notes
    assert notes[:2] == (
        "split 0 of 0..9, drawn here by seed: 5 identities train, 6 are tested, queries from camera A",
        "2 identities were seen by one camera alone and are left out",
    )
    assert notes[3] == "2 identities were seen by one camera alone and train"


def test_a_second_image_of_the_same_is_a_problem():
    builder = RecordsBuilder("viper")
    copy = BOTH[0]._replace(image=Found("1/1 copy.bmp", 9))
    assert without_copies([*BOTH, copy], builder) == BOTH
    assert [str(p) for p in builder.records().problems] == [
        "1/1 copy.bmp has the identity, camera and number of 1/1.png: keep one"
    ]


def test_what_cannot_be_split():
    for test_ids, count, message in ((None, 1, "1 identities could"), (11, 11, "leave 11 to test.*lower test_ids")):
        with pytest.raises(DataError, match=message):
            TwoCameraSplit("viper", 0, "a", test_ids).draw(range(count))
    for arguments, message in (((10,), "0 to 9, got 10"), ((0, "c"), "a or b"), ((0, "a", 0), "at least 1")):
        with pytest.raises(ConfigError, match=message):
            TwoCameraSplit("viper", *arguments)
