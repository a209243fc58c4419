import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.bag_draft import BagDraft, draft_from_images
from wsreid.data.bag_format import HEADER_KEY, SCHEMA
from wsreid.data.bag_settings import BagSettings
from wsreid.data.bags import Bags
from wsreid.errors import DataError

MEMBERS = st.dictionaries(
    st.integers(0, 4), st.sets(st.integers(0, 30), min_size=1, max_size=12), min_size=1, max_size=5
)


def in_memory(members: dict[int, set[int]]) -> Bags:
    pairs = [(b, row) for b, key in enumerate(sorted(members)) for row in members[key]]
    owner, rows = np.array(pairs).T
    return Bags.from_draft(draft_from_images(owner, rows, rows % 7), BagSettings(), "m" * 64)


@given(MEMBERS)
def test_members_and_candidates(members):
    bags = in_memory(members)
    expected = [sorted(members[key]) for key in sorted(members)]
    assert len(bags) == len(expected)
    assert bags.sizes.tolist() == [len(x) for x in expected]
    assert bags.n_members == sum(map(len, expected))
    member = 0
    for b, rows in enumerate(expected):
        assert bags.member_start[b] == member
        assert bags.rows(b).tolist() == rows
        some = np.arange(len(rows))[::-2]
        assert bags.rows(b, some).tolist() == [rows[i] for i in some]
        assert bags.candidates(b).tolist() == sorted({r % 7 for r in rows})
        member += len(rows)


@given(MEMBERS, st.data())
def test_rows_of_several_bags(members, data):
    bags = in_memory(members)
    which = data.draw(st.lists(st.integers(0, len(bags) - 1), min_size=1, max_size=6))
    drawn = [data.draw(st.lists(st.integers(0, int(bags.sizes[b]) - 1), max_size=5)) for b in which]
    owner = np.repeat(np.arange(len(which)), [len(p) for p in drawn])
    found = bags.rows_of(np.array(which), owner, np.array([p for positions in drawn for p in positions], int))
    expected = [sorted(members[key]) for key in sorted(members)]
    assert found.tolist() == [expected[b][p] for b, positions in zip(which, drawn, strict=True) for p in positions]


def test_neighbours_share_a_range():
    draft = draft_from_images(np.array([0, 0, 0, 1, 1]), np.array([3, 4, 6, 7, 8]), np.zeros(5, int))
    assert draft.range_start.tolist() == [3, 6, 7]
    assert draft.range_stop.tolist() == [5, 7, 9]


@pytest.fixture
def saved(tmp_path):
    bags = in_memory({0: {1, 2, 9}, 1: {4}, 2: {1, 30}})
    bags.write(tmp_path / "bags.arrow")
    return bags, tmp_path / "bags.arrow"


def test_file_gives_back_the_same(saved):
    bags, path = saved
    again = Bags.open(path)
    again.check()
    assert again.hash == bags.hash
    assert again.settings == bags.settings
    assert again.manifest_hash == bags.manifest_hash
    assert again.bag_id.tolist() == bags.bag_id.tolist()
    assert [again.rows(b).tolist() for b in range(3)] == [bags.rows(b).tolist() for b in range(3)]
    assert [again.candidates(b).tolist() for b in range(3)] == [bags.candidates(b).tolist() for b in range(3)]
    for column in (again.bag_id, again.sizes, again.candidates(0), again._draft.range_start, again._draft.range_stop):
        assert not column.flags.writeable  # a view of the file, not a copy
    assert not list(path.parent.glob(".*"))  # no partial file is left


def test_settings_survive(tmp_path):
    settings = BagSettings(protocol="sysu", images_per_id="all", window_frames=3, sysu_widths=(1, 7), extra=0.25)
    draft = draft_from_images(np.zeros(1, int), np.zeros(1, int), np.zeros(1, int))
    Bags.from_draft(draft, settings, "x").write(tmp_path / "b")
    assert Bags.open(tmp_path / "b").settings == settings


def test_hash_covers_bags_and_manifest(saved):
    bags, _ = saved
    assert in_memory({0: {1, 2, 9}, 1: {4}, 2: {1, 29}}).hash != bags.hash
    assert Bags.from_draft(bags._draft, bags.settings, "n" * 64).hash != bags.hash


def test_check_finds_a_changed_byte(saved):
    _, path = saved
    content = bytearray(path.read_bytes())
    at = content.find(np.array([4], np.int64).tobytes() + np.array([1], np.int64).tobytes())
    assert at > 0
    content[at] = 5
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="damaged"):
        Bags.open(path).check()


@pytest.mark.parametrize("content", [b"", b"nothing", b"ARROW1\0\0" + b"\0" * 40])
def test_no_bag_file(tmp_path, content):
    path = tmp_path / "bags.arrow"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bags\.arrow is no readable bag file, or a damaged one.*data\.bag_file"):
        Bags.open(path)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        Bags.open(tmp_path / "none.arrow")


def test_truncated_file(saved):
    _, path = saved
    content = path.read_bytes()
    for keep in range(0, len(content), 97):
        path.write_bytes(content[:keep])
        with pytest.raises(DataError):
            Bags.open(path)


def _rewrite(path, header=None, **columns):
    batch = pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else batch.column(f.name) for f in SCHEMA]
    stored = batch.schema.metadata[HEADER_KEY] if header is None else json.dumps(header).encode()
    schema = SCHEMA.with_metadata({HEADER_KEY: stored})
    partial = path.with_name("partial")
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    partial.rename(path)


@pytest.mark.parametrize(
    "damage",
    [
        {"header": {}},
        {"header": {"version": 99}},
        {"header": []},
        {"header": {"version": 1, "settings": {"protocol": "x", "sysu_widths": []}}},
        {"size": [3, 1, 5]},
        {"range_stop": [[3, 10], [5], [2]]},
        {"range_start": [[1, 9], [], [1, 4, 30]]},
    ],
)
def test_damaged_content(saved, damage):
    _, path = saved
    _rewrite(path, **damage)
    with pytest.raises(DataError, match=str(path)):
        Bags.open(path)


def test_check_against(market, tmp_path):
    def bags(rows, classes, manifest_hash=market.hash):
        rows = np.array(rows)
        draft = draft_from_images(np.zeros(len(rows), int), rows, np.array(classes))
        Bags.from_draft(draft, BagSettings(), manifest_hash).write(tmp_path / "b")
        return Bags.open(tmp_path / "b")

    bags([0, 1], [0, 11]).check_against(market)
    with pytest.raises(DataError, match="bag 0 names the class 12") as caught:
        bags([0, 1], [0, 12]).check_against(market)
    assert str(tmp_path / "b") in str(caught.value)
    with pytest.raises(DataError, match="name rows"):
        bags([len(market)], [0]).check_against(market)
    with pytest.raises(DataError) as caught:
        bags([0], [0], "f" * 64).check_against(market)
    assert "ffffffffffff" in str(caught.value)
    assert market.hash[:12] in str(caught.value)
    assert "data.bag_file" in str(caught.value)


def test_counts():
    bags = in_memory({0: {1, 2, 9}, 1: {4}, 2: {1, 30}})
    assert bags.count_inside(np.array([1, 3, 30])) == 3
    assert bags.count_naming(np.array([1, 4], np.int32)) == 3


def test_opening_reads_no_member(tmp_path):
    """Many members cost nothing until they are drawn: two bags of 10 million rows each are four numbers."""
    draft = BagDraft(
        bag_id=np.arange(2),
        candidates=np.array([0, 1], np.int32),
        candidate_offsets=np.array([0, 1, 2]),
        range_start=np.array([0, 5]),
        range_stop=np.array([10_000_000, 10_000_005]),
        range_offsets=np.array([0, 1, 2]),
    )
    Bags.from_draft(draft, BagSettings(protocol="sysu"), "").write(tmp_path / "b")
    assert (tmp_path / "b").stat().st_size < 5000
    bags = Bags.open(tmp_path / "b")
    assert bags.n_members == 20_000_000
    assert bags.rows(1, np.array([0, 9_999_999])).tolist() == [5, 10_000_004]


def test_write_replaces(saved):
    bags, path = saved
    shutil.copy(path, path.with_name("copy"))
    bags.write(path)
    assert path.read_bytes() == path.with_name("copy").read_bytes()
