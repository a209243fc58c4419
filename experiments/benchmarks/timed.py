"""Work timed on a GPU or a CPU."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

LONGEST = 10.0  # seconds after which no further run is timed


@dataclass(frozen=True)
class Timing:
    """One piece of work, timed.

    Attributes:
        seconds: Median.
        slowest: The slowest run.
        peak_mib: The most that it allocated on the GPU beyond what was there; 0 on the CPU.
    """

    seconds: float
    slowest: float
    peak_mib: float


def timed(work: Callable[[], object], device: torch.device, repeats: int) -> Timing:
    """Times some work after one run that warms up; on the GPU by events, host work between kernels included."""
    work()
    gpu = device.type == "cuda"
    before = torch.cuda.memory_allocated(device) if gpu else 0
    if gpu:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    taken: list[float] = []
    while len(taken) < repeats and sum(taken) < LONGEST:
        taken.append(_seconds_on_gpu(work, device) if gpu else _seconds(work))
    peak = torch.cuda.max_memory_allocated(device) - before if gpu else 0
    return Timing(statistics.median(taken), max(taken), peak / 2**20)


def _seconds_on_gpu(work: Callable[[], object], device: torch.device) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    begin.record()
    work()
    end.record()
    torch.cuda.synchronize(device)
    return float(begin.elapsed_time(end)) / 1000


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
