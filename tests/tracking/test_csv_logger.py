import errno
import io

import pytest
import torch

from wsreid.errors import WsreidError
from wsreid.tracking.csv_logger import CSVLogger, read_metrics


def test_rows_are_on_disk_as_soon_as_they_are_logged(tmp_path):
    logger = CSVLogger(tmp_path / "run")
    logger.log_metrics({"loss": 0.1, "epoch": 0}, step=3)
    assert (tmp_path / "run" / "metrics.csv").read_text() == "epoch,step,loss\n0,3,0.1\n"


def test_a_new_column_keeps_what_is_there(tmp_path):
    logger = CSVLogger(tmp_path)
    logger.log_metrics({"loss": 1.5, "epoch": 0}, step=0)
    logger.log_metrics({"val/R1": torch.tensor(0.25), "epoch": 0}, step=0)
    logger.log_metrics({"loss": 1.0, "epoch": 1}, step=1)
    assert (tmp_path / "metrics.csv").read_text() == "epoch,step,loss,val/R1\n0,0,1.5,\n0,0,,0.25\n1,1,1.0,\n"


def test_a_second_logger_appends(tmp_path):
    for step in (0, 1):
        logger = CSVLogger(tmp_path)
        logger.log_metrics({"loss": float(step), "epoch": 0}, step=step)
        logger.finalize("success")
    assert [row["step"] for row in read_metrics(tmp_path / "metrics.csv")[1]] == ["0", "1"]


def test_cut_from_drops_the_resumed_step_and_later_ones(tmp_path):
    logger = CSVLogger(tmp_path)
    for step in range(5):
        logger.log_metrics({"loss": float(step), "epoch": 0}, step=step)
    assert CSVLogger(tmp_path).cut_from(3) == 2
    again = CSVLogger(tmp_path)
    again.log_metrics({"loss": 9.0, "epoch": 0}, step=3)
    assert [row["loss"] for row in read_metrics(tmp_path / "metrics.csv")[1]] == ["0.0", "1.0", "2.0", "9.0"]


def test_cut_from_without_a_file_does_nothing(tmp_path):
    assert CSVLogger(tmp_path).cut_from(0) == 0
    assert not (tmp_path / "metrics.csv").exists()


def test_half_a_line_left_by_a_crash_is_dropped(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,step,loss\n0,0,1.0\n0,1,0.")
    CSVLogger(tmp_path).log_metrics({"loss": 2.0, "epoch": 0}, step=1)
    assert (tmp_path / "metrics.csv").read_text() == "epoch,step,loss\n0,0,1.0\n0,1,2.0\n"


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-300, float("nan")])
def test_numbers_survive_exactly(tmp_path, value):
    CSVLogger(tmp_path).log_metrics({"x": value}, step=0)
    read = float(read_metrics(tmp_path / "metrics.csv")[1][0]["x"])
    assert read == value or (read != read and value != value)


def test_a_row_is_added_where_a_kill_came_before_it(tmp_path):
    logger = CSVLogger(tmp_path)
    logger.log_metrics({"loss": 0.1, "epoch": 0}, step=2)
    logger.log_metrics({"val/R1": 0.5, "epoch": 1}, step=5)
    logger.add_missing({"loss": 0.1, "epoch": 0}, 2)
    logger.add_missing({"loss": 0.3, "epoch": 1}, 5)
    rows = read_metrics(tmp_path / "metrics.csv")[1]
    assert [(row["step"], row["loss"], row["val/R1"]) for row in rows] == [
        ("2", "0.1", ""),
        ("5", "", "0.5"),
        ("5", "0.3", ""),
    ]


def test_half_a_row_on_a_full_disk_is_taken_back(tmp_path, monkeypatch):
    logger = CSVLogger(tmp_path)
    logger.log_metrics({"loss": 0.1, "epoch": 0}, step=0)

    class Full(io.StringIO):
        def __init__(self, file):
            super().__init__()
            self.file = file

        def fileno(self):
            return self.file.fileno()

        def flush(self):
            self.file.write("0,1,0.")
            self.file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(logger, "_file", Full(logger._file))
    with pytest.raises(WsreidError, match=r"metrics\.csv cannot be written: no space is left on the disk"):
        logger.log_metrics({"loss": 0.2, "epoch": 0}, step=1)
    assert (tmp_path / "metrics.csv").read_text() == "epoch,step,loss\n0,0,0.1\n"
    logger.finalize("failed")
    logger.log_metrics({"loss": 0.3, "epoch": 0}, step=1)
    assert (tmp_path / "metrics.csv").read_text() == "epoch,step,loss\n0,0,0.1\n0,1,0.3\n"
