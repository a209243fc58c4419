import pytest

from tests.data.sources.test_market1501 import rows
from wsreid.data import published
from wsreid.data.published import Published, SplitCount
from wsreid.data.records import Split
from wsreid.data.sources.dukemtmc_reid import DukeMTMCreID
from wsreid.errors import DataError

TRAIN = ["0001_c2_f0046302.jpg", "0001_c2_f0046182.jpg", "0005_c1_f0044158.JPG"]
QUERY = ["0023_c1_f0059420.jpg", "0023_c3_f0060123.png"]
GALLERY = ["0023_c2_f0058080.jpg", "0000_c1_f0000001.jpg", "-1_c5_f0100000.jpg", "7140_c8_f0170000.jpg"]
PARTIAL = (
    "train: 3 images, published are 16,522",
    "train: 2 identities, published are 702",
    "query: 2 images, published are 2,228",
    "query: 1 identities, published are 702",
    "gallery: 3 images, published are 17,661",
    "gallery: 2 identities, published are 1,110",
)


@pytest.fixture
def root(tmp_path, put):
    base = "My Sets/DukeMTMC-reID"
    put(*(f"{base}/bounding_box_train/{name}" for name in TRAIN))
    put(*(f"{base}/query/{name}" for name in QUERY))
    put(*(f"{base}/bounding_box_test/{name}" for name in GALLERY))
    put(f"{base}/bounding_box_train/Thumbs.db", f"{base}/query/.DS_Store", f"{base}/CITATION.txt", data=b"x")
    return tmp_path / base


def test_reads_names(root):
    records = DukeMTMCreID().index(root)
    assert rows(records, Split.TRAIN) == [
        ("bounding_box_train/0005_c1_f0044158.JPG", 5, 1, -1, 44158),
        ("bounding_box_train/0001_c2_f0046182.jpg", 1, 2, -1, 46182),
        ("bounding_box_train/0001_c2_f0046302.jpg", 1, 2, -1, 46302),
    ]
    assert [row[1:3] for row in rows(records, Split.QUERY)] == [(23, 1), (23, 3)]
    assert [row[1:3] for row in rows(records, Split.GALLERY)] == [(0, 1), (23, 2), (7140, 8)]
    assert records.identities.tolist() == [1, 5]
    assert records.problems == ()
    assert records.notes == ("1 junk images (-1) dropped from the gallery", *PARTIAL)


def test_a_set_of_the_published_size_has_no_difference(root, monkeypatch):
    sizes = {"train": SplitCount(3, 2), "query": SplitCount(2, 1), "gallery": SplitCount(3, 2)}
    entry = Published("dukemtmc_reid", "Duke", 5, 8, "8", "outdoor", "strong", sizes)
    monkeypatch.setattr(published, "PUBLISHED", {"dukemtmc_reid": entry})
    assert DukeMTMCreID().index(root).notes == ("1 junk images (-1) dropped from the gallery",)


def test_the_folder_above_may_be_the_root(root):
    outside = DukeMTMCreID().index(root.parent)
    assert outside.file[0] == "DukeMTMC-reID/bounding_box_train/0005_c1_f0044158.JPG"
    assert DukeMTMCreID().fingerprint(root.parent)


def test_a_missing_folder_says_that_the_set_was_withdrawn(root):
    (root / "query").rename(root / "queries")
    for call in (DukeMTMCreID().index, DukeMTMCreID().fingerprint):
        with pytest.raises(DataError, match=r"no folder 'query'.*authors withdrew"):
            call(root)


def test_an_empty_split_names_the_first_refused_file(root, put):
    for path in (root / "query").iterdir():
        path.unlink()
    put("My Sets/DukeMTMC-reID/query/0023_c1s1_000001_00.jpg")
    with pytest.raises(DataError, match=r"1 files there were refused, first: query/0023_c1s1"):
        DukeMTMCreID().index(root)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("query/0023_c1_f0059420 (1).jpg", "does not parse"),
        ("query/0000_c1_f0059420.jpg", "names no identity (0000)"),
        ("bounding_box_train/-1_c1_f0059420.jpg", "names no identity (-1)"),
    ],
)
def test_a_bad_file_is_left_out_and_named(root, put, file, reason):
    put(f"My Sets/DukeMTMC-reID/{file}")
    (problem,) = DukeMTMCreID().index(root).problems
    assert problem.file == file
    assert reason in problem.reason
