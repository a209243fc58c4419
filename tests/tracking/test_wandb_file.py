import pytest

from wsreid.errors import DataError
from wsreid.tracking.wandb_file import is_whole, records
from wsreid.tracking.wandb_logger import GuardedWandbLogger
from wsreid.tracking.wandb_settings import WandbSettings

from .wandb_runs import logged_run


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A run of 200 KB: its records are cut at the ends of blocks, 32 KiB each."""
    folder = tmp_path_factory.mktemp("run")
    logger = GuardedWandbLogger(
        WandbSettings("offline"), folder, name="n", group="DGL", data="synthetic", job_type="fit"
    )
    for step in range(40):
        logger.experiment.log({"text": f"{step}" * (5000 + step), "trainer/global_step": step})
    logger.finish()
    found = logged_run(folder)
    assert [row["text"] for row in found.history] == [f"{step}" * (5000 + step) for step in range(40)]
    return next(found.folder.glob("*.wandb"))


def test_a_finished_run_is_whole(file):
    assert file.stat().st_size > 5 * 32 * 1024
    assert is_whole(file)


@pytest.mark.parametrize("size", [7, 10, 40_000, 32 * 1024, -1])
def test_a_file_that_was_cut_short_gives_what_it_has(file, tmp_path, size):
    whole = file.read_bytes()
    cut = tmp_path / "cut.wandb"
    cut.write_bytes(whole[:size])
    assert not is_whole(cut)
    assert list(records(cut)) == list(records(file))[: len(list(records(cut)))]


def test_a_damaged_record_ends_it(file, tmp_path):
    content = bytearray(file.read_bytes())
    content[100_000] ^= 1
    (tmp_path / "a.wandb").write_bytes(content)
    assert not is_whole(tmp_path / "a.wandb")
    assert 10 < len(list(records(tmp_path / "a.wandb"))) < len(list(records(file)))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.wandb").write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match=r"a\.wandb"):
        list(records(tmp_path / "a.wandb"))
    assert not is_whole(tmp_path / "a.wandb")
    assert not is_whole(tmp_path / "missing.wandb")
