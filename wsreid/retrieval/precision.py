"""True float32 matrix products, whatever the process has set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Turns TF32, bfloat16 products and autocast off inside the block, and restores what was set before."""
    cuda = torch.backends.cuda.matmul
    mkldnn = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # missing in torch's stubs
    before = (cuda.fp32_precision, mkldnn.fp32_precision)
    try:
        legacy: str | None = torch.get_float32_matmul_precision()
    except RuntimeError:  # the two backends were set apart, for which the old interface has no word
        legacy = None
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if legacy is not None:
            torch.set_float32_matmul_precision(legacy)
        if (cuda.fp32_precision, mkldnn.fp32_precision) != before:
            cuda.fp32_precision, mkldnn.fp32_precision = before
