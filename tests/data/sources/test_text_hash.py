import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from wsreid.data.sources import text_hash
from wsreid.data.sources.text_hash import text_hashes


def slowly(text: str) -> int:
    value, factor = 0, 1
    for byte in text.encode():
        value, factor = (value + (byte + 1) * factor) % 2**64, factor * 0x9E3779B97F4A7C15 % 2**64
    value ^= value >> 32
    value = value * 0xBF58476D1CE4E5B9 % 2**64
    return value ^ (value >> 29)


@settings(deadline=None)
@given(st.lists(st.text()), st.integers(0, 5), st.integers(1, 3))
def test_is_the_polynomial_of_the_bytes_wherever_a_text_stands(texts, start, at_once):
    rows, text_hash._ROWS = text_hash._ROWS, at_once
    try:
        found = text_hashes(pa.array(texts, pa.string())[start:])
    finally:
        text_hash._ROWS = rows
    assert found.dtype == np.uint64
    assert found.tolist() == [slowly(text) for text in texts[start:]]


def test_chunks_are_joined():
    chunks = pa.chunked_array([["a", "b"], [], ["c"]], pa.string())
    np.testing.assert_array_equal(text_hashes(chunks), text_hashes(pa.array(["a", "b", "c"])))


def test_names_that_differ_by_little_have_different_numbers():
    names = pa.array([f"{folder:010d}/{image:06d}.jpg" for folder in range(200) for image in range(500)])
    assert len(np.unique(text_hashes(names))) == len(names)
