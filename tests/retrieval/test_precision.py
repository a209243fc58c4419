import pytest
import torch

from wsreid.retrieval.precision import full_float32


@pytest.mark.parametrize("setting", ["highest", "high", "medium"])
def test_settings_are_forced_and_restored(setting):
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(setting)
        with full_float32(torch.device("cpu")):
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == setting
    finally:
        torch.set_float32_matmul_precision(before)


def test_backends_that_were_set_apart_are_restored_apart():
    cuda, mkldnn = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
    before = cuda.fp32_precision
    try:
        mkldnn.fp32_precision = "bf16"
        with full_float32(torch.device("cpu")):
            assert mkldnn.fp32_precision == "ieee"
        assert (cuda.fp32_precision, mkldnn.fp32_precision) == (before, "bf16")
    finally:
        torch.set_float32_matmul_precision("highest")
