import os
import struct
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.tars.making import END, JPEG, header, member, padded, pax, sealed, write_tar
from wsreid.data.tars import walk
from wsreid.data.tars.findings import Findings, Kind
from wsreid.data.tars.walk import NotATar, regular_members


def walked(path, data=None):
    if data is not None:
        path.write_bytes(data)
    findings = Findings()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = list(regular_members(descriptor, os.fstat(descriptor).st_size, findings))
    finally:
        os.close(descriptor)
    return found, findings


@pytest.fixture
def tar(tmp_path):
    return tmp_path / "a.tar"


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("window", [2048, walk.WINDOW])
def test_finds_what_tarfile_finds(tar, tar_format, window, monkeypatch):
    monkeypatch.setattr(walk, "WINDOW", window)
    long = f"{'x' * 90}/{'y' * 90}.jpg"
    posix = tar_format == tarfile.USTAR_FORMAT
    names = ["a/1.jpg", long, "b.jpg", f"{'é' * 60}.jpg" if not posix else "e.jpg", f"{long if posix else long * 3}"]
    write_tar(tar, {name: JPEG * (40 * i) for i, name in enumerate(names)}, tar_format)
    with tarfile.open(tar) as reference:
        expected = [(m.name.encode(), m.offset_data, m.size) for m in reference if m.isreg()]
    found, findings = walked(tar)
    assert [m[:3] for m in found] == expected
    assert [m[3] for m in found] == [(JPEG * (40 * i))[:8] for i in range(len(expected))]
    assert findings.counts == {}


def test_old_and_odd_members(tar):
    data = member(b"one.jpg", kind=b"\x00", magic=b"") + member(b"dir/", b"", kind=b"\x00", magic=b"")
    data += member(b"seven.jpg", kind=b"7") + bytes(header(b"dir2", 10**6, kind=b"5"))  # a folder carries no data
    data += member(b"V", b"", kind=b"V") + member(b"dump", b"Yfile\x00", kind=b"D") + member(b"last.jpg") + END
    found, findings = walked(tar, data)
    assert [m[0] for m in found] == [b"one.jpg", b"seven.jpg", b"last.jpg"]
    assert findings.counts == {Kind.OTHER: 2}


def test_links_devices_and_pipes_are_counted_and_carry_no_data(tar):
    kinds = {b"1": Kind.LINK, b"2": Kind.LINK, b"3": Kind.DEVICE, b"4": Kind.DEVICE, b"6": Kind.DEVICE}
    data = b"".join(bytes(header(b"%s.jpg" % kind, 5000, kind=kind)) for kind in kinds)
    long = member(b"@", b"L" * 150 + b".jpg\x00", kind=b"L") + member(b"@", b"/etc/passwd\x00", kind=b"K")
    found, findings = walked(tar, data + long + bytes(header(b"short", kind=b"2")) + member(b"real.jpg") + END)
    assert [m[0] for m in found] == [b"real.jpg"], "the long name is the link's"
    assert findings.counts == {Kind.LINK: 3, Kind.DEVICE: 3}
    assert findings.examples[Kind.LINK][-1].startswith("LLL")


def test_sparse_members_are_left_out_whatever_their_form(tar):
    old = header(b"old.jpg", 512, kind=b"S", magic=b"ustar  \x00")
    old[482] = 1  # the map goes on in another block
    more = bytearray(512)
    more[504] = 1
    data = bytes(sealed(old)) + bytes(more) + bytes(512) + padded(JPEG * 30)[:512]
    new = {"GNU.sparse.major": b"1", "GNU.sparse.name": b"new.jpg"}
    data += pax(**new) + member(b"GNUSparseFile/new.jpg", b"1\n0\n5\n") + member(b"real.jpg") + END
    found, findings = walked(tar, data)
    assert [m[0] for m in found] == [b"real.jpg"]
    assert findings.counts == {Kind.SPARSE: 2}


def test_pax_names_and_sizes_count(tar):
    data = pax(path="é.jpg".encode(), size=b"%d" % len(JPEG)) + bytes(header(b"e.jpg", 0)) + padded(JPEG)
    data += pax(kind=b"g", path=b"same.jpg") + member() + member()
    found, findings = walked(tar, data + END)
    assert [m[0] for m in found] == ["é.jpg".encode(), b"same.jpg", b"same.jpg"]
    assert [m[2] for m in found] == [len(JPEG)] * 3
    assert findings.counts == {}


def test_extended_headers_that_do_not_parse_are_damage(tar, monkeypatch):
    data = member(b"x", b"nonsense", kind=b"x") + member(b"1.jpg") + pax(size=b"many") + member(b"2.jpg")
    found, findings = walked(tar, data + member(b"3.jpg") + END)
    assert [m[0] for m in found] == [b"1.jpg", b"3.jpg"], "where 2.jpg ends is not known: the next sound header counts"
    assert findings.counts == {Kind.DAMAGED: 2}
    monkeypatch.setattr(walk, "MOST", 600)
    found, findings = walked(tar, member(b"@", b"n" * 700, kind=b"L") + member(b"1.jpg") + END)
    assert ([m[0] for m in found], findings.counts) == ([b"1.jpg"], {Kind.DAMAGED: 1})


def test_reading_goes_on_after_a_damaged_header(tar):
    bad = bytearray(member(b"bad.jpg", JPEG * 200))
    bad[3] ^= 1
    bad[1024 + 257 : 1024 + 262] = b"ustar"  # looks like a header, but has no checksum
    found, findings = walked(tar, member(b"1.jpg") + bytes(bad) + member(b"2.jpg") + END)
    assert [m[0] for m in found] == [b"1.jpg", b"2.jpg"]
    assert findings.counts == {Kind.DAMAGED: 1}
    assert findings.examples[Kind.DAMAGED] == ["byte 1024"]


def test_a_truncated_last_member_is_left_out(tar):
    whole = member(b"1.jpg") + member(b"2.jpg", JPEG * 100)
    found, findings = walked(tar, whole[:-700])
    assert [m[0] for m in found] == [b"1.jpg"]
    assert findings.counts == {Kind.TRUNCATED: 1}
    assert findings.examples[Kind.TRUNCATED] == ["2.jpg"]
    found, findings = walked(tar, whole)
    assert len(found) == 2
    assert findings.counts == {Kind.NO_END: 1}
    _, findings = walked(tar, whole + b"3.jp")
    assert findings.counts == {Kind.NO_END: 1}
    huge = struct.pack(">BxxxQ", 0x80, 2**63)
    assert walked(tar, bytes(header(b"h.jpg", size_field=huge)) + padded(JPEG))[1].counts == {Kind.TRUNCATED: 1}


def test_what_follows_the_end_mark_is_not_read(tar):
    found, findings = walked(tar, member() + END + bytes(8192))
    assert (len(found), findings.counts) == (1, {})
    found, findings = walked(tar, member() + END + member(b"2.jpg") + END)
    assert (len(found), findings.counts) == (1, {Kind.AFTER_END: 1})
    with tar.open("wb") as file:  # what a download leaves that reserved the whole file first
        file.write(member())
        file.truncate(1 << 24)
    found, findings = walked(tar)
    assert (len(found), findings.counts) == (1, {Kind.AFTER_END: 1})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x1f\x8b\x08" + bytes(600), "compressed"),
        (b"<!doctype html>" + b"x" * 600, "web page"),
        (b"no tar" * 100, "no tar"),
        (b"short", "no tar"),
    ],
)
def test_what_is_no_tar(tar, data, message):
    with pytest.raises(NotATar, match=message):
        walked(tar, data)


_PIECES = st.one_of(
    st.binary(max_size=700),
    st.builds(
        member,
        st.binary(min_size=1, max_size=90),
        st.binary(max_size=700),
        kind=st.sampled_from([bytes([k]) for k in b"\x000123456789LKxgSDVX"]),
    ),
    st.builds(
        lambda n, k: bytes(header(b"h", n, kind=k)), st.integers(0, 3000), st.sampled_from([b"0", b"x", b"L", b"S"])
    ),
    st.just(bytes(512)),
)


@settings(deadline=None)
@given(st.lists(_PIECES, max_size=8))
def test_whatever_follows_a_first_member_the_walk_ends_inside_the_file(tmp_path_factory, pieces):
    path = tmp_path_factory.getbasetemp() / "random.tar"
    data = member(b"first.jpg") + b"".join(pieces)
    found, findings = walked(path, data)
    assert found[0] == (b"first.jpg", 512, len(JPEG), JPEG[:8])
    ends = 0
    for _, offset, size, head in found:
        assert ends <= offset - 512
        ends = offset + size
        assert ends <= len(data)
        assert head == data[offset : offset + min(8, size)]
    assert sum(findings.counts.values()) + len(found) <= len(data) // 512 + 2
