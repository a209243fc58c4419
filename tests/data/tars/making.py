"""Tars in miniature: by `tarfile`, and by headers made by hand."""

import io
import tarfile
from pathlib import Path

JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"
END = bytes(1024)


def header(name=b"a.jpg", size=0, kind=b"0", magic=b"ustar\x0000", prefix=b"", size_field=None) -> bytearray:
    """512 bytes with a right checksum."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\x00"
    block[124:136] = b"%011o\x00" % size if size_field is None else size_field
    block[156:157] = kind
    block[257 : 257 + len(magic)] = magic
    block[345 : 345 + len(prefix)] = prefix
    return sealed(block)


def sealed(block: bytearray) -> bytearray:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\x00 " % sum(block)
    return block


def member(name=b"a.jpg", data=JPEG, **options) -> bytes:
    return bytes(header(name, len(data), **options)) + padded(data)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(kind=b"x", **records) -> bytes:
    return member(b"PaxHeaders/x", b"".join(pax_record(k.encode(), v) for k, v in records.items()), kind=kind)


def pax_record(key: bytes, value: bytes) -> bytes:
    body = b" " + key + b"=" + value + b"\n"
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


def write_tar(path: Path, files: dict[str, bytes], tar_format=tarfile.GNU_FORMAT) -> Path:
    """A tar by the standard library, with an entry for each folder, as tar programs write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folders = set()
    with tarfile.open(path, "w", format=tar_format) as tar:
        for name, data in files.items():
            folder = name.rpartition("/")[0]
            if folder and folder not in folders:
                folders.add(folder)
                entry = tarfile.TarInfo(f"{folder}/")
                entry.type = tarfile.DIRTYPE
                tar.addfile(entry)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path
