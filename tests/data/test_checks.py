import logging
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.data.sources.conftest import JPEG
from tests.data.tars.making import write_tar
from tests.data.test_manifest import change_header, make_records
from wsreid.data.checks import check_archives, check_problems
from wsreid.data.manifest import Manifest, Problem, write_manifest
from wsreid.data.sources import SYSU30k
from wsreid.errors import DataError

NAMES = [f"sysu_train_set_all/{folder:010d}/{name}.jpg" for folder in (1, 2, 5) for name in "abcdefgh"]
FILES = {name: JPEG + bytes(600 * number) for number, name in enumerate(NAMES)}


@pytest.fixture
def tar(tmp_path, monkeypatch):
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "root").mkdir()
    return write_tar(tmp_path / "root" / "part1.tar", FILES)


@pytest.fixture
def manifest(tar, tmp_path):
    write_manifest(tmp_path / "m.arrow", SYSU30k().index(tar.parent), source="sysu30k", root=tar.parent)
    return Manifest.open(tmp_path / "m.arrow")


def later(path, seconds=5):
    os.utime(path, ns=(0, path.stat().st_mtime_ns + seconds * 10**9))


def test_a_tar_that_is_as_it_was_passes(manifest, tar, caplog):
    (archive,) = manifest.archives
    assert (archive.file, archive.size, archive.mtime_ns) == (tar.name, tar.stat().st_size, tar.stat().st_mtime_ns)
    check_archives(manifest)
    assert not caplog.records


def test_a_tar_of_another_size_is_refused(manifest, tar):
    before = tar.stat().st_size
    write_tar(tar, dict(reversed(FILES.items())) | {"more.jpg": bytes(20_000)})
    with pytest.raises(DataError, match=rf"part1\.tar has {tar.stat().st_size:,} bytes.*had {before:,} bytes.*prepare"):
        check_archives(manifest)


def test_a_tar_of_the_same_size_with_its_members_elsewhere_is_refused(manifest, tar):
    before = tar.stat().st_size
    write_tar(tar, dict(reversed(FILES.items())))
    assert tar.stat().st_size == before
    later(tar)
    with pytest.raises(DataError, match=r"part1\.tar.*changed at .*no file of \d+ bytes.*prepare"):
        check_archives(manifest)


def test_a_copied_tar_is_warned_of_and_used(manifest, tar, tmp_path, caplog):
    shutil.copytree(tar.parent, tmp_path / "copy")
    later(tmp_path / "copy" / tar.name)
    with caplog.at_level(logging.WARNING):
        check_archives(Manifest.open(manifest.path, root=tmp_path / "copy"))
    assert "another time of change" in caplog.text
    assert tar.name in caplog.text


def test_a_tar_that_is_not_there_is_warned_of(manifest, tar, caplog):
    tar.unlink()
    check_archives(manifest)
    assert f"{tar} cannot be looked at" in caplog.text


def test_a_tar_in_place_of_which_there_is_a_folder_is_refused(manifest, tar):
    tar.unlink()
    tar.mkdir()
    with pytest.raises(DataError, match="is no regular file"):
        check_archives(manifest)


def test_a_manifest_from_before_archives_were_recorded_passes(manifest, tar):
    change_header(manifest.path, lambda header: header.pop("archives"))
    tar.write_bytes(b"")
    old = Manifest.open(manifest.path)
    assert old.archives == ()
    assert old.hash == manifest.hash
    old.check()
    check_archives(old)


def test_archives_are_no_part_of_the_hash(manifest, tar, tmp_path):
    later(tar)
    write_manifest(tmp_path / "again.arrow", SYSU30k().index(tar.parent), source="sysu30k", root=tar.parent)
    again = Manifest.open(tmp_path / "again.arrow")
    assert again.archives != manifest.archives
    assert again.hash == manifest.hash


def test_files_that_are_images_are_no_archives(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(JPEG)
    (tmp_path / "part1.tar").write_bytes(JPEG)
    records = make_records(
        file=["a/1.jpg", "part1.tar", "unused.tar"], file_index=[0, 0, 1, 1, 0], offset=[-1, -1, 512, 0, -1]
    )
    write_manifest(tmp_path / "m.arrow", records, source="s", root=tmp_path)
    manifest = Manifest.open(tmp_path / "m.arrow")
    assert [archive.file for archive in manifest.archives] == ["part1.tar"]
    assert np.concatenate(list(manifest.rows_in("part1.tar"))).tolist() == [2, 3]
    assert [rows.tolist() for rows in manifest.rows_in("absent.tar")] == []


def test_problems_without_a_name_count(tmp_path, caplog):
    records = replace(make_records(), unnamed_problems=249)
    assert records.problem_count == 250
    write_manifest(tmp_path / "m.arrow", records, source="s", root=tmp_path)
    manifest = Manifest.open(tmp_path / "m.arrow")
    assert manifest.problem_count == 250
    with pytest.raises(
        DataError, match=r"^250 files .*allows 249.*\n  a/0\.jpg.*\n  and 249 more, of which 0 are named"
    ):
        check_problems(manifest, 249)
    check_problems(manifest, 250)
    assert "250 files" in caplog.text
    change_header(manifest.path, lambda header: header.pop("unnamed_problems"))
    assert Manifest.open(manifest.path).problem_count == 1
    check_problems(Manifest.open(manifest.path), 1)


def test_problems_that_are_all_named_are_shown_and_counted(tmp_path):
    records = make_records(problems=tuple(Problem(f"{i}.jpg", "is bad") for i in range(12)))
    write_manifest(tmp_path / "m.arrow", records, source="s", root=tmp_path)
    with pytest.raises(DataError, match=r"^12 files (.|\n)*\n  9\.jpg is bad\n  and 2 more\nReplace"):
        check_problems(Manifest.open(tmp_path / "m.arrow"), 11)


def test_fewer_than_no_problems_are_refused():
    with pytest.raises(ValueError, match="unnamed_problems"):
        make_records(unnamed_problems=-1)


def test_only_a_manifest_of_the_cache_is_said_to_be_deleted(tmp_path, monkeypatch):
    path = tmp_path / "m.arrow"
    found = SimpleNamespace(path=path, root=tmp_path, problems=(Problem("a.jpg", "is empty"),), problem_count=1)
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(DataError, match="prepare the manifest again"):
        check_problems(found, 0)
    monkeypatch.setenv("WSREID_CACHE_DIR", str(tmp_path))
    with pytest.raises(DataError, match=r"delete .*m\.arrow"):
        check_problems(found, 0)
