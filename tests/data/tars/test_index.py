import contextlib
import os
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.byte_changes import each_byte_changed
from tests.data.tars.making import END, JPEG, member, pax, write_tar
from wsreid.data.cache import cache_dir
from wsreid.data.tars import index
from wsreid.data.tars.findings import Kind
from wsreid.data.tars.index import TarError, _place, make_index, open_index
from wsreid.errors import DataError


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "cache"))


def rows(made):
    return [row for batch in made.batches() for row in zip(*batch.to_pydict().values(), strict=True)]


def made(tmp_path, data, name="a.tar"):
    (tmp_path / name).write_bytes(data)
    return make_index(tmp_path / name)


@pytest.mark.parametrize("batch", [3, index.BATCH])
def test_rows_are_where_tarfile_says(tmp_path, batch, monkeypatch):
    monkeypatch.setattr(index, "BATCH", batch)
    path = write_tar(tmp_path / "a.tar", {f"top/{i // 4:010d}/{i}.jpg": JPEG * (i + 1) for i in range(11)})
    result = make_index(path)
    with tarfile.open(path) as tar:
        members = [m for m in tar if m.isreg()]
    assert rows(result) == [(*m.name.rsplit("/", 1), m.offset_data, m.size) for m in members]
    assert result.rows == 11
    assert result.findings.counts == {}
    assert next(result.batches("size")).to_pydict()["size"] == [len(JPEG) * (i + 1) for i in range(min(batch, 11))]
    for _, _, offset, size in rows(result):
        assert path.read_bytes()[offset : offset + size] == JPEG * (size // len(JPEG))


def test_an_index_is_made_once_for_each_state_of_the_tar(tmp_path, monkeypatch):
    first = made(tmp_path, member() + END)
    monkeypatch.setattr(index, "regular_members", lambda *_: pytest.fail("read again"))
    assert make_index(tmp_path / "a.tar").path == first.path
    monkeypatch.undo()
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "cache"))
    second = made(tmp_path, member() + member(b"b.jpg") + END)
    assert second.path != first.path
    assert second.rows == 2


def test_names_from_outside(tmp_path):
    bad = [b"/etc/a.jpg", b"../a.jpg", b"x/../../a.jpg", b"..", b"\xff.jpg", b"notes.txt", b"x/.a.jpg", b".git/a.jpg"]
    bad += [b"x/Thumbs.db", b"__MACOSX/a.jpg", b"noextension"]
    good = [b"./x//y/./a.jpg", b"B.JPG", b"with space/c.PNG", "é/d.jpeg".encode(), b"dots..jpg", b"x./e.jpg"]
    png = b"\x89PNG\r\n\x1a\n"
    data = b"".join(map(member, bad)) + pax(path=b"nul\x00.jpg") + member()
    result = made(tmp_path, data + b"".join(member(name, png if b"PNG" in name else JPEG) for name in good) + END)
    assert [row[:2] for row in rows(result)] == [
        ("x/y", "a.jpg"),
        ("", "B.JPG"),
        ("with space", "c.PNG"),
        ("é", "d.jpeg"),
        ("", "dots..jpg"),
        ("x.", "e.jpg"),
    ]
    assert result.findings.counts == {
        Kind.ABSOLUTE: 1,
        Kind.PARENT: 3,
        Kind.ENCODING: 1,
        Kind.SUFFIX: 2,
        Kind.HIDDEN: 4,
        Kind.NAME: 1,
    }
    assert result.findings.examples[Kind.PARENT] == ["../a.jpg", "x/../../a.jpg", ".."]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "cache"], "nothing is written"


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_a_name_gives_a_place_inside_or_a_reason(raw):
    place = _place(raw)
    if not isinstance(place, Kind):
        parts = "/".join(place).split("/") if place[0] else [place[1]]
        assert not {"", ".", ".."} & set(parts)
        assert [p for p in raw.decode().split("/") if p not in ("", ".")] == parts
        assert "\x00" not in "".join(parts)


def test_files_that_are_no_images_keep_rows_without_a_size(tmp_path):
    result = made(tmp_path, member(b"a.jpg", b"") + member(b"b.jpg", b"text") + member(b"c.jpg") + END)
    assert [row[3] for row in rows(result)] == [0, -4, len(JPEG)]


def test_many_bad_names_fill_no_memory(tmp_path):
    result = made(tmp_path, b"".join(member(b"../%d.jpg" % i, b"") for i in range(300)) + END)
    assert result.findings.counts == {Kind.PARENT: 300}
    assert len(result.findings.examples[Kind.PARENT]) == 100
    assert open_index(result.tar, result.path) == result


def test_what_cannot_be_indexed_is_named(tmp_path, monkeypatch):
    with pytest.raises(TarError, match=r"a\.tar is no tar: it does not begin"):
        made(tmp_path, b"x" * 2000)
    with pytest.raises(TarError, match=r"gone\.tar cannot be read: No such file"):
        make_index(tmp_path / "gone.tar")
    os.mkfifo(tmp_path / "pipe.tar")
    with pytest.raises(TarError, match="no regular file"):
        make_index(tmp_path / "pipe.tar")
    assert not list(cache_dir().glob("tars/*.arrow"))


def test_a_tar_that_grows_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(member() + END)

    def grow(_):
        with path.open("ab") as file:
            file.write(b"x")

    with pytest.raises(TarError, match="changed while it was read"):
        make_index(path, grow)
    assert not list(cache_dir().glob("tars/*.arrow"))


def test_a_damaged_index_is_named(tmp_path):
    result = made(tmp_path, member() + END)
    result.path.write_bytes(result.path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"tar index .* is damaged.*Delete it"):
        make_index(result.tar)


@pytest.mark.slow
def test_an_index_with_a_changed_byte_is_refused_or_read(tmp_path):
    path = write_tar(tmp_path / "a.tar", {f"top/{i}.jpg": JPEG for i in range(3)})
    for changed in each_byte_changed(make_index(path).path.read_bytes(), tmp_path / "x.arrow"):
        with contextlib.suppress(DataError):
            rows(open_index(path, changed))
