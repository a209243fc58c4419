import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.tars.making import header, pax_record, sealed
from wsreid.data.tars.headers import decimal, parse_header, pax_records


@settings(deadline=None)
@given(
    name=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=40),
    size=st.integers(0, 2**70),
    tar_format=st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT]),
)
def test_reads_what_tarfile_writes(name, size, tar_format):
    entry = tarfile.TarInfo(name)
    entry.size = size if tar_format == tarfile.GNU_FORMAT else size % 8**11
    assert parse_header(entry.tobuf(tar_format)) == (ord("0"), entry.size, name.encode())


def test_a_prefix_counts_in_posix_headers_alone():
    assert parse_header(bytes(header(b"b.jpg", prefix=b"some/folder"))) == (ord("0"), 0, b"some/folder/b.jpg")
    gnu = header(b"b.jpg", prefix=b"13377331", magic=b"ustar  \x00")  # GNU keeps times there
    assert parse_header(bytes(gnu))[2] == b"b.jpg"


def test_v7_headers_without_magic_are_read():
    assert parse_header(bytes(header(b"old.jpg", 7, kind=b"\x00", magic=b""))) == (0, 7, b"old.jpg")


def test_a_sum_of_signed_characters_counts_as_a_checksum():
    block = header(b"\xff\xfe\x80.jpg", 5)
    signed = sum(b - 256 if b > 127 else b for b in block[:148] + block[156:]) + 256
    block[148:156] = b"%06o\x00 " % signed
    assert parse_header(bytes(block)) == (ord("0"), 5, b"\xff\xfe\x80.jpg")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (b"\xff" * 12, "negative"),
        (b"00000000-05\x00", "no tar header"),
        (b"0000000_005\x00", "no tar header"),
        (b"00000000 05\x00", "no tar header"),
        (b"00000000008\x00", "no tar header"),
        (b"99999999999\x00", "no tar header"),
    ],
)
def test_sizes_that_are_none(field, message):
    with pytest.raises(ValueError, match=message):
        parse_header(bytes(header(size_field=field)))


def test_an_empty_size_is_zero_and_blanks_are_passed_over():
    assert parse_header(bytes(header(size_field=bytes(12))))[1] == 0
    assert parse_header(bytes(header(size_field=b"       17 \x00\x00")))[1] == 0o17


@settings(deadline=None)
@given(at=st.integers(0, 511), bit=st.integers(0, 7))
def test_one_flipped_bit_is_seen(at, bit):
    block = header(b"a/b/c.jpg", 1234)
    block[at] ^= 1 << bit
    field = block[148:156].strip(b"\x00 ")
    if field.isdigit() and int(field) == int(header(b"a/b/c.jpg", 1234)[148:156].strip(b"\x00 ")):
        return  # a leading zero or a blank of the checksum became a blank: it says the same
    with pytest.raises(ValueError, match="has a"):
        parse_header(bytes(block))


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_random_bytes_are_refused(data):
    with pytest.raises(ValueError, match=r"is cut off|has a"):
        parse_header(data)


@settings(deadline=None)
@given(st.binary(min_size=512, max_size=512))
def test_random_fields_under_a_right_checksum_give_a_header_or_an_error(data):
    try:
        kind, size, name = parse_header(bytes(sealed(bytearray(data))))
    except ValueError:
        return
    assert 0 <= kind < 256
    assert size >= 0
    assert len(name) <= 256
    assert b"\x00" not in name


@settings(deadline=None)
@given(st.dictionaries(st.binary(min_size=1).filter(lambda k: b"=" not in k), st.binary(), max_size=5))
def test_pax_records_are_read_back(records):
    assert pax_records(b"".join(pax_record(k, v) for k, v in records.items())) == records


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_pax_data_gives_records_or_an_error(data):
    try:
        records = pax_records(data)
    except ValueError:
        return
    assert sum(len(k) + len(v) for k, v in records.items()) <= len(data)


@pytest.mark.parametrize(
    "data", [b"5 a=b", b"999 a=b\n", b"0 a=b\n", b"2 \n", b"-6 a=b\n", b"x", b"7 a b c\n", b"1" * 30]
)
def test_pax_records_that_do_not_parse(data):
    with pytest.raises(ValueError, match="does not parse"):
        pax_records(data)


@pytest.mark.parametrize("text", [b"", b"-1", b"1_0", b" 1", b"1" * 21])
def test_decimal_takes_digits_alone(text):
    assert decimal(b"0123") == 123
    with pytest.raises(ValueError, match="no number"):
        decimal(text)
