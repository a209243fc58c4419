import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.image_header import read_header, sniff
from wsreid.data.images import MAX_BYTES, ImageLocation, UnreadableImage, read_image
from wsreid.errors import DataError


def encoded(suffix: str, height: int = 24, width: int = 12, channels: int = 3) -> bytes:
    ramp = np.arange(height * width * channels) % 251
    image = ramp.reshape(height, width, channels).astype(np.uint8)
    return cv2.imencode(suffix, image)[1].tobytes()


def test_reads_rgb_in_this_order(tmp_path):
    bgr = np.zeros((8, 4, 3), np.uint8)
    bgr[..., 2] = 200  # OpenCV's third channel is red
    cv2.imwrite(str(tmp_path / "red.png"), bgr)
    image = read_image(ImageLocation(tmp_path / "red.png"))
    assert image.dtype == np.uint8
    assert image.shape == (8, 4, 3)
    assert image[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize("channels", [1, 4])
def test_grey_and_transparent_images_get_three_channels(tmp_path, channels):
    (tmp_path / "a.png").write_bytes(encoded(".png", channels=channels))
    assert read_image(ImageLocation(tmp_path / "a.png")).shape == (24, 12, 3)


def test_reads_a_range_of_a_larger_file(tmp_path):
    first, second = encoded(".jpg"), encoded(".png", 10, 20)
    (tmp_path / "a.tar").write_bytes(b"header" + first + b"gap" + second + b"rest")
    location = ImageLocation(tmp_path / "a.tar", 6 + len(first) + 3, len(second))
    np.testing.assert_array_equal(
        read_image(location), cv2.imdecode(np.frombuffer(second, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    )
    with pytest.raises(UnreadableImage, match=r"a\.tar \(bytes .*ends after"):
        read_image(ImageLocation(tmp_path / "a.tar", 6, 10**6))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "no JPEG, PNG or BMP"),
        (encoded(".jpg")[:-40], "cut off"),
        (encoded(".png")[:-40], "cut off"),
        (encoded(".bmp")[:-40], "cut off"),
        (encoded(".jpg")[:20], "cut off"),
        (encoded(".png")[:10], "cut off"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, data, reason):
    path = tmp_path / "bad.jpg"
    path.write_bytes(data)
    with pytest.raises(UnreadableImage, match=rf"bad\.jpg .*{reason}"):
        read_image(ImageLocation(path))


def test_missing_files_folders_and_pipes_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jpg cannot be read"):
        read_image(ImageLocation(tmp_path / "gone.jpg"))
    with pytest.raises(UnreadableImage, match="no regular file"):
        read_image(ImageLocation(tmp_path))
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UnreadableImage, match="no regular file"):
        read_image(ImageLocation(tmp_path / "pipe.jpg"))


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    data = bytearray(encoded(".png"))
    data[16:24] = struct.pack(">II", 40_000, 40_000)
    (tmp_path / "bomb.png").write_bytes(data)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UnreadableImage, match="max_pixels"):
        read_image(ImageLocation(tmp_path / "bomb.png"))


@pytest.mark.parametrize("offset", [-1, 0])
def test_a_huge_file_is_refused_before_it_is_read(tmp_path, monkeypatch, offset):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse: it takes no room on the disk
    monkeypatch.setattr(os, "pread", lambda *_: pytest.fail("read"))
    with pytest.raises(UnreadableImage, match=r"a\.png .*has 268435457 bytes, more than the 268435456"):
        read_image(ImageLocation(tmp_path / "a.png", offset, MAX_BYTES + 1))


@given(
    suffix=st.sampled_from([".jpg", ".png", ".bmp"]), height=st.integers(1, 70), width=st.integers(1, 70), cut=st.data()
)
def test_header_agrees_with_the_decoder_and_every_cut_is_seen(suffix, height, width, cut):
    data = encoded(suffix, height, width)
    header = read_header(data)
    assert (header.height, header.width) == (height, width)
    # A JPEG or PNG ends with its end mark, a BMP with its last pixels: whatever is cut, something is missing.
    keep = cut.draw(st.integers(0, len(data) - (2 if suffix != ".png" else 8)))
    with pytest.raises(ValueError, match=r"cut off|no JPEG|empty"):
        read_header(data[: min(keep, len(data) - 1)])


def test_a_thumbnail_inside_the_exif_data_does_not_count():
    thumbnail, outer = encoded(".jpg", 8, 8), encoded(".jpg", 40, 30)
    segment = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = outer[:2] + segment + outer[2:]
    assert (read_header(data).height, read_header(data).width) == (40, 30)
    with pytest.raises(ValueError, match="cut off"):
        read_header(data[:-2])


def test_a_png_chunk_that_says_more_than_there_is_gets_no_room(tmp_path, monkeypatch):
    """OpenCV made room for the four gigabytes that 124 bytes spoke of."""
    data = encoded(".png", channels=1)
    at = data.index(b"IDAT") - 4
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for length in (0xFFFFFFFF, 0x7FFFFFFF, len(data)):
        (tmp_path / "a.png").write_bytes(data[:at] + struct.pack(">I", length) + data[at + 4 :])
        with pytest.raises(UnreadableImage, match="cut off"):
            read_image(ImageLocation(tmp_path / "a.png"))
    (tmp_path / "a.png").write_bytes(data[:12] + b"iCCP" + data[16:])  # another chunk first
    with pytest.raises(UnreadableImage, match="cut off"):
        read_image(ImageLocation(tmp_path / "a.png"))


def test_sniff():
    assert [sniff(encoded(s)[:8]) for s in (".jpg", ".png", ".bmp")] == ["JPEG", "PNG", "BMP"]
    assert sniff(b"GIF89a..") is None
    assert sniff(b"") is None


def test_location_is_shown_with_its_bytes():
    assert str(ImageLocation(Path("a.tar"), 10, 5)) == "a.tar (bytes 10 to 15)"
