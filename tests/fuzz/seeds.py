"""Small inputs that a fuzzer starts from, made here: no image of a data set."""

import struct
import tarfile
from pathlib import Path

import cv2
import numpy as np

from tests.data.tars.making import END, header, member, padded, pax, write_tar


def images() -> list[bytes]:
    """Each format that is read, grey and in colour, with a thumbnail, progressive, and announcing too much."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (8, 6, 3), dtype=np.uint8)
    found = [cv2.imencode(suffix, each)[1].tobytes() for suffix in (".jpg", ".png", ".bmp") for each in
             (picture, picture[..., 0])]  # fmt: skip
    found.append(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes())
    found.append(cv2.imencode(".png", np.dstack([picture, picture[..., 0]]))[1].tobytes())
    jpeg = found[0]
    found.append(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(jpeg) + 2) + jpeg + jpeg[2:])
    bomb = bytearray(found[2])
    bomb[16:24] = struct.pack(">II", 40_000, 40_000)
    return [*found, bytes(bomb)]


def tars(folder: Path) -> list[bytes]:
    """Tars of each format, with long names, sparse members, links, and damage."""
    found = []
    for tar_format in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        long = "a/" * 40 + "b.jpg"
        path = write_tar(folder / "seed.tar", {"x/1.jpg": b"\xff\xd8\xff", long: b"12"}, tar_format)
        found.append(path.read_bytes()[:10_240])
    found.append(member(b"../up.jpg") + member(b"/etc/a.jpg") + END)
    found.append(pax(path=b"pax/name.jpg", size=b"3") + member(b"x", b"abc") + END)
    found.append(bytes(header(b"sparse", 4, kind=b"S")) + padded(b"data") + member() + END)
    found.append(member() + b"damage" * 200 + member(b"2.jpg") + END)
    return [*found, member(), bytes(1024)]


def seeds(target: str, folder: Path) -> list[bytes]:
    """The inputs of a target."""
    return images() if target == "image" else tars(folder)
