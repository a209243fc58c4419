"""Processes that talk over gloo, started once for all tests; the fixture is `pool` of tests/conftest.py."""

import multiprocessing as mp
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed as dist

from wsreid.retrieval.group import Ranks

SIZE = 3
SIZES = (2, 3)
PATIENCE = 120.0  # seconds; a process that waits for one that has failed would wait for ever


@dataclass
class Failed:
    """What a job raised, as its process tells it."""

    kind: str
    text: str
    attributes: dict[str, object]


def _serve(rank, store, pipe):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=SIZE)
    groups = {size: dist.new_group(list(range(size))) for size in SIZES}  # each process takes part in making each
    pipe.send("ready")
    while (call := pipe.recv()) is not None:
        job, size, arguments = call
        try:
            found = job(Ranks(groups[size]), *arguments)
        except Exception as error:  # noqa: BLE001  # the test judges it
            told = {name: value for name, value in vars(error).items() if isinstance(value, (str, int, tuple))}
            found = Failed(type(error).__name__, str(error), told)
        pipe.send(found)
    dist.destroy_process_group()


class Pool:
    """Runs functions on the first 2 or on all 3 processes at once."""

    def __init__(self, folder: Path) -> None:
        context = mp.get_context("forkserver")  # imports torch once, where spawn would three times
        context.set_forkserver_preload(["tests.retrieval.jobs"])
        self._pipes, self._processes = [], []
        for rank in range(SIZE):
            mine, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(rank, folder / "store", theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(mine)
            self._processes.append(process)
        assert [self._answer(rank) for rank in range(SIZE)] == ["ready"] * SIZE

    def run(self, size, job, *arguments, by_rank=None):
        """What `job(group, *arguments)` returned or raised (`Failed`) on each rank.

        Args:
            size: Number of processes.
            job: A function of a `jobs.py`; it is imported by name.
            arguments: The same on each.
            by_rank: One more argument for each, in their place.
        """
        for rank in range(size):
            own = arguments if by_rank is None else (*arguments, by_rank[rank])
            self._pipes[rank].send((job, size, own))
        return [self._answer(rank) for rank in range(size)]

    def close(self) -> None:
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            if process.is_alive():
                pipe.send(None)
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()

    def _answer(self, rank):
        end = time.monotonic() + PATIENCE
        while not self._pipes[rank].poll(0.5):
            assert self._processes[rank].is_alive(), f"process {rank} died"
            assert time.monotonic() < end, f"process {rank} has not answered within {PATIENCE} s"
        return self._pipes[rank].recv()
