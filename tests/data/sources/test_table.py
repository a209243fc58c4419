import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.sources.table import Table
from wsreid.errors import ConfigError, DataError

LINES = """file,pid,camera,split,frame
a/one image.jpg,ann,north,train,7
b.JPG,ann,south,train,3

c.png,bob,north,query,
d.jpg,bob,south,gallery,
e.jpg,-1,south,gallery,
"""


@pytest.fixture
def root(tmp_path, put):
    put("a/one image.jpg", "b.JPG", "c.png", "d.jpg", "e.jpg")
    (tmp_path / "images.csv").write_text(LINES)
    return tmp_path


def rows(records):
    keys = ("split", "pid", "camera", "sequence", "frame")
    return [(file, *(int(getattr(records, key)[i]) for key in keys)) for i, file in enumerate(records.file)]


def test_reads_one_table(root, tmp_path):
    records = Table().index(root)
    assert rows(records) == [
        ("a/one image.jpg", Split.TRAIN, 1, 1, -1, 7),
        ("b.JPG", Split.TRAIN, 1, 2, -1, 3),
        ("c.png", Split.QUERY, 2, 1, -1, -1),
        ("d.jpg", Split.GALLERY, 2, 2, -1, -1),
    ]
    assert records.pid_names == ("ann", "bob")
    assert records.notes == (
        "1 junk images (-1) dropped from the gallery",
        "cameras are numbered from 1: north, south",
    )
    assert records.problems == ()
    write_manifest(tmp_path / "m", records, source="table", root=root)
    Manifest.open(tmp_path / "m").check()


def test_three_tables_in_three_formats_say_the_same(root):
    rest = LINES.splitlines()[1:]
    (root / "train.tsv").write_text("frame\tpid\tfile\tcamera\n7\tann\ta/one image.jpg\tnorth\n3\tann\tb.JPG\tsouth\n")
    (root / "query.csv").write_text("\ufefffile,pid,camera,split\n" + rest[3].removesuffix(",") + "\n", "utf-8")
    table = pa.table({"file": ["d.jpg", "e.jpg"], "pid": ["bob", "-1"], "camera": ["south"] * 2, "frame": [None, 1.0]})
    pq.write_table(table, root / "gallery.parquet")
    three = Table(train="train.tsv", query="query.csv", gallery="gallery.parquet").index(root)
    assert rows(three) == rows(Table().index(root))


def test_columns_go_by_other_names(root):
    (root / "images.csv").write_text(LINES.replace("pid", "who", 1).replace("file", "image", 1))
    source = Table(columns={"pid": "who", "file": "image"})
    assert len(source.index(root)) == 4
    assert source.settings()["columns"] == '{"file": "image", "pid": "who"}'
    assert source.fingerprint(root) != Table(columns={"file": "image", "pid": "camera"}).fingerprint(root)
    with pytest.raises(DataError, match=r"images\.csv, line 1: there is no column 'file'; there are image, who"):
        Table().index(root)


def test_numbers_are_kept_and_float_columns_of_parquet_are_whole_numbers(root):
    split = ["train", "train", "query", "gallery"]
    content = {"file": ["b.JPG", "e.jpg", "c.png", "d.jpg"], "pid": [5.0, 5.0, 9.0, 9.0], "split": split}
    content["camera"] = [1.0, float("nan"), 1.0, 2.0]
    pq.write_table(pa.table(content), root / "t.parquet")
    records = Table(table="t.parquet").index(root)
    assert records.pid_names is None
    assert sorted(records.pid.tolist()) == [5, 5, 9, 9]
    assert records.notes == ("1 of 4 images name no camera",)
    assert np.array_equal(records.identities, [5])


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("b.JPG,ann", "b.JPG,", r"images\.csv, line 3: the cell pid is empty"),
        ("b.JPG", "../b.JPG", r"line 3: '\.\./b\.JPG' must be a path inside the root"),
        ("b.JPG", "/b.JPG", "line 3: '/b.JPG' must be a path inside the root"),
        ("south,train,3", "south,test,3", "line 3: split 'test', expected train, query, gallery"),
        ("train,3", "train,three", "line 3: frame 'three' is no whole number"),
        ("train,3", "train,3,4", "line 3: has 6 cells, the header names 5 columns"),
        ("bob,north", "-1,north", r"line 5: names no identity \(-1\)"),
        ("d.jpg,bob", "e.jpg,bob", r"line 7: 'e\.jpg' is listed before: .*images\.csv, line 6"),
        ("file,pid", "file,pid;who", "line 1: there is no column 'pid'"),
        ("camera,split", "split,split", "line 1: there are several columns 'split'"),
        (",frame\n", ',"frame', "cannot be read as a table"),
    ],
)
def test_errors_name_file_and_line(root, old, new, error):
    text = (root / "images.csv").read_text()
    assert old in text
    (root / "images.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=error):
        Table().index(root)


def test_the_line_counts_cells_that_span_lines(root):
    text = (root / "images.csv").read_text().replace("ann,north", '"an\nn",north').replace("train,3", "train,x")
    (root / "images.csv").write_text(text)
    with pytest.raises(DataError, match=r"images\.csv, line 4: frame 'x'"):
        Table().index(root)


def test_says_so_when_the_cells_are_separated_otherwise(root):
    (root / "images.csv").write_text(LINES.replace(",", ";"))
    with pytest.raises(DataError, match="are its cells separated by something else than commas"):
        Table().index(root)


def test_files_that_are_none_are_problems(root, put):
    put("b.JPG", data=b"text, no image")
    (root / "a/one image.jpg").unlink()
    put("d.jpg", data=b"")
    with pytest.raises(DataError, match=r"no train image in .*first: a/one image\.jpg cannot be read: No such file"):
        Table().index(root)
    put("a/one image.jpg")
    with pytest.raises(DataError, match=r"no gallery image in .*2 files there were refused"):
        Table().index(root)
    put("d.jpg")
    problems = [str(problem) for problem in Table().index(root).problems]
    assert problems == ["b.JPG is no JPEG, PNG or BMP image: its first bytes are those of something else"]
    assert Table(check_files=False).index(root).problems == ()


@pytest.mark.parametrize("data", [b"PAR1 not so", b"\xff\xfe\x00bad"])
def test_damaged_tables(root, data):
    for name in ("t.parquet", "t.csv"):
        (root / name).write_bytes(data)
        with pytest.raises(DataError, match=rf"{name}"):
            Table(table=name).index(root)


def test_a_missing_table_and_the_root_one_level_up(root):
    inside = root / "above" / "set"
    inside.mkdir(parents=True)
    (inside / "images.csv").write_text(LINES)
    with pytest.raises(DataError, match=rf"has no table 'images\.csv'\. Did you mean {inside}\?.*columns file, pid"):
        Table().index(inside.parent)
    with pytest.raises(DataError, match="does not exist"):
        Table().index(root / "nowhere")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"train": "t.csv"}, "either one table, or all of train, query and gallery"),
        ({"table": "a.csv", "train": "t.csv", "query": "q.csv", "gallery": "g.csv"}, "either one table"),
        ({"table": "../a.csv"}, "must be a .csv, .tsv, .parquet file inside the root"),
        ({"table": "a.txt"}, "must be a"),
        ({"columns": {"id": "x"}}, "columns names id; known are file, pid"),
    ],
)
def test_refuses_options_that_cannot_work(options, error):
    with pytest.raises(ConfigError, match=error):
        Table(**options)
