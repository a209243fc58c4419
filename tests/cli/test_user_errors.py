import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from wsreid.cli.user_errors import user_error
from wsreid.errors import DataError, WsreidError


class _Broken(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise DataError("a/b.jpg is no image.\nReplace it: see data.root")


def test_an_error_from_a_worker_shows_its_own_text_alone():
    with pytest.raises(DataError) as caught:
        list(DataLoader(_Broken(), num_workers=1))
    assert "Traceback" in str(caught.value)
    assert str(user_error(caught.value)) == "a/b.jpg is no image.\nReplace it: see data.root"


def test_the_cause_of_a_wrapped_error_is_found():
    wrapped = ValueError("link failed")
    wrapped.__cause__ = DataError("no such folder")
    assert user_error(wrapped) is wrapped.__cause__


def test_a_bug_is_no_user_error():
    assert user_error(torch.OutOfMemoryError("out of memory")) is None


def test_a_plain_user_error_stays_itself():
    error = WsreidError("Caught a cold")
    assert user_error(error) is error
