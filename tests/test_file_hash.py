import hashlib

from wsreid.file_hash import file_hash


def test_it_is_the_sha256_of_the_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"\x00weights")
    assert file_hash(tmp_path / "file") == hashlib.sha256(b"\x00weights").hexdigest()
