"""FAISS, loaded only where it is used, and the GPU as it sees it."""

from __future__ import annotations

import logging
from types import ModuleType
from typing import Any

import torch

from wsreid.errors import ConfigError
from wsreid.retrieval.search_settings import GPU_KINDS, SearchSettings

_log = logging.getLogger(__name__)
GPU_LIMIT = 2048  # FAISS' k-selection, and its number of probed cells, stop there on the GPU
HINT = "Install it: pip install faiss-cpu (or faiss-gpu)."


def faiss_or_none() -> ModuleType | None:
    """FAISS, or None where it is not installed."""
    try:
        import faiss
    except ImportError:
        return None
    module: ModuleType = faiss
    return module


def load_faiss() -> ModuleType:
    """FAISS.

    Raises:
        ConfigError: It is not installed.
    """
    module = faiss_or_none()
    if module is None:
        raise ConfigError(f"an approximate index needs FAISS, which is not installed. {HINT} Or take index exact.")
    return module


def on_gpu(settings: SearchSettings, device: torch.device) -> bool:
    """Whether an index of these settings goes onto the GPU.

    Args:
        settings: `gpu` is the user's wish; None = whatever the device offers.
        device: Where features are compared.

    Returns:
        True = on the GPU.

    Raises:
        ConfigError: The GPU is asked for and cannot be had.
    """
    if settings.gpu is False or (settings.gpu is None and device.type != "cuda"):
        return False
    faiss = load_faiss()
    able = hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0
    if settings.gpu:
        if not able:
            raise ConfigError(
                "index: gpu is asked for, but FAISS sees none. Install faiss-gpu on a machine with a CUDA device, "
                "or leave gpu out."
            )
        return True
    if not able or settings.kind not in GPU_KINDS:
        why = "sees no GPU" if not able else f"has no {settings.kind} on the GPU"
        _log.info("index %s: FAISS %s, so the index is searched on the CPU.", settings.kind, why)
        return False
    return True


def to_gpu(index: Any, settings: SearchSettings, device: torch.device) -> tuple[Any, Any]:  # noqa: ANN401 (FAISS has no types)
    """Moves an index onto the GPU, with bounded scratch memory.

    Args:
        index: An index on the CPU.
        settings: The scratch memory.
        device: The trainer's device; FAISS takes the same card.

    Returns:
        The index on the GPU, and the resources that must live as long as it does.
    """
    faiss = load_faiss()
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(settings.temp_memory_mb * 2**20)
    options = faiss.GpuClonerOptions()
    options.useFloat16 = True  # look-up tables of 64 sub-vectors fit a block's shared memory only so
    options.indicesOptions = faiss.INDICES_64_BIT
    current = torch.cuda.current_device() if device.type == "cuda" else 0
    card = current if device.index is None else device.index
    return faiss.index_cpu_to_gpu(resources, card, index, options), resources
