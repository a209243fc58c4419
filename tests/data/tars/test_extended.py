import pytest

from tests.data.tars.making import pax_record
from wsreid.data.tars.extended import Extended


def test_a_long_name_is_for_one_member_and_a_global_header_for_all():
    extended = Extended()
    assert not extended
    extended.add(ord("g"), pax_record(b"comment", b"x") + pax_record(b"size", b"9"))
    extended.add(ord("L"), b"a/long/name.jpg\x00\x00")
    assert extended.take(b"short", 5, False) == (b"a/long/name.jpg", 9, False)
    assert extended.take(b"short", 5, False) == (b"short", 9, False)


def test_pax_gives_path_size_and_sparseness():
    extended = Extended()
    extended.add(ord("x"), pax_record(b"path", b"p.jpg") + pax_record(b"GNU.sparse.major", b"1"))
    assert extended
    assert extended.take(b"n", 5, False) == (b"p.jpg", 5, True)
    assert not extended


def test_a_size_that_is_no_number_is_refused_once():
    extended = Extended()
    extended.add(ord("x"), pax_record(b"size", b"many"))
    with pytest.raises(ValueError, match="no number"):
        extended.take(b"n", 5, False)
    assert extended.take(b"n", 5, False) == (b"n", 5, False)
