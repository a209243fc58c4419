import errno
import gc
import multiprocessing
import os
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from wsreid.data.images import ImageLocation, UnreadableImage, read_image
from wsreid.data.tars import ranges
from wsreid.data.tars.ranges import IsNoFileError, read_range


@pytest.fixture
def files(tmp_path, monkeypatch):
    ranges._cache.clear()
    monkeypatch.setattr(ranges, "MOST_OPEN", 3)
    for number in range(8):
        (tmp_path / f"{number}.tar").write_bytes(bytes([number]) * 100)
    yield [tmp_path / f"{number}.tar" for number in range(8)]
    ranges._cache.clear()


def opened(files):
    links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sorted(link.name for link in links if link.parent == files[0].parent)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_few_files_stay_open_and_those_used_last(files):
    for number in (0, 1, 2, 0, 3):
        assert read_range(files[number], 3, 5) == bytes([number]) * 5
    gc.collect()
    assert opened(files) == ["0.tar", "2.tar", "3.tar"]


def test_a_range_past_the_end_is_shorter(files):
    assert read_range(files[1], 95, 50) == b"\x01" * 5
    assert read_range(files[1], 200, 50) == b""


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(IsNoFileError):
            read_range(path, 0, 1)
    with pytest.raises(FileNotFoundError):
        read_range(tmp_path / "gone", 0, 1)


def test_threads_that_push_each_others_files_out_read_the_right_bytes(files):
    right = []

    def read(seed):
        for step in range(400):
            number = (step * seed) % len(files)
            assert read_range(files[number], 0, 100) == bytes([number]) * 100
            right.append(number)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in (1, 3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(right) == 1600


def _child(path, answer):
    before = list(ranges._cache)
    data = read_range(path, 10, 20)
    answer.send((data, len(before), [key[0] == os.getpid() for key in ranges._cache]))


def test_a_forked_process_opens_its_own(files):
    assert read_range(files[1], 10, 20) == b"\x01" * 20
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=_child, args=(files[1], there))
    process.start()
    process.join(30)
    assert here.recv() == (b"\x01" * 20, 1, [False, True])
    assert read_range(files[1], 10, 20) == b"\x01" * 20


def on_a_shelf(tmp_path):
    """An image in a tar that this process has begun to read."""
    whole = cv2.imencode(".png", np.full((8, 4, 3), 200, np.uint8))[1].tobytes()
    tar = tmp_path / "a.tar"
    tar.write_bytes(bytes(512) + whole + bytes(512))
    location = ImageLocation(tar, 512, len(whole))
    assert read_image(location).shape == (8, 4, 3)
    return tar, location


def test_a_tar_that_is_removed_or_replaced_in_mid_run_is_read_on(tmp_path):
    tar, location = on_a_shelf(tmp_path)
    tar.unlink()
    assert read_image(location).max() == 200
    tar.write_bytes(bytes(4096))
    assert read_image(location).max() == 200  # the file that the run began with


def test_a_tar_that_is_shortened_in_mid_run_is_named(tmp_path):
    tar, location = on_a_shelf(tmp_path)
    os.truncate(tar, 600)
    with pytest.raises(UnreadableImage, match=rf"a\.tar \(bytes 512 to .* ends after 88 of {location.size} bytes"):
        read_image(location)


def test_a_disk_that_goes_away_is_named(tmp_path, monkeypatch):
    _, location = on_a_shelf(tmp_path)

    def gone(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pread", gone)
    with pytest.raises(UnreadableImage, match=r"a\.tar .* cannot be read: Input/output error"):
        read_image(location)
