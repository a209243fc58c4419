"""What one process of several grows by while they score a gallery together, each holding a part of it.

    OMP_NUM_THREADS=1 python experiments/benchmarks/ranks.py [--processes 1 2 4]

Each process has the same number of gallery rows whatever the number of processes, so the gallery grows with them; what
a process takes must not. Growth is that of its peak resident size over the size right before `evaluate`, with features
and identities read from files, so that nothing which the allocator kept hides it. Processes are spawned and talk over
gloo; the largest of their figures counts.

Prints a table, and one JSON object on the last line.
"""

import argparse
import json
import multiprocessing as mp
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from centre_noise import distractors, plant
from rerank import resident
from torch import distributed as dist

from wsreid.retrieval import evaluate
from wsreid.retrieval.group import Ranks

MATCHES, SIMILARITY = 20, 0.1
NAMES = ("query", "gallery", "q_pid", "g_pid")


def write_part(folder: Path, rank: int, size: int, rows: int, width: int, queries: int) -> None:
    """Writes queries, the same for each process, and one's part of the gallery with its share of their matches."""
    gallery = distractors(rows, width, torch.float32, torch.device("cpu"), seed=1 + rank)
    query, q_pid, g_pid = plant(gallery, queries, MATCHES // size, SIMILARITY, seed=0)
    for name, array in (("query", query.numpy()), ("gallery", gallery.numpy()), ("q_pid", q_pid), ("g_pid", g_pid)):
        np.save(folder / f"{name}{rank}.npy", array)


def measure(rank: int, size: int, folder: Path, memory_mb: int) -> None:
    """One process: scores with the others and writes down what it grew by."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size)
    group = Ranks()
    tiny = np.eye(8, dtype=np.float32)
    evaluate(tiny, tiny, q_pid=np.arange(8), g_pid=np.arange(8), group=group)  # what is loaded late
    query, gallery, q_pid, g_pid = (np.load(folder / f"{name}{rank}.npy") for name in NAMES)
    dist.barrier()
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    result = evaluate(query, gallery, q_pid=q_pid, g_pid=g_pid, memory_mb=memory_mb, group=group)
    found = {"growth_mib": resident("VmHWM") - before, "R1": float(result.cmc[0])}
    (folder / f"{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


def together(size: int, rows: int, width: int, queries: int, memory_mb: int) -> dict[str, float]:
    """Lets `size` processes score a gallery of `size * rows` rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for rank in range(size):
            write_part(folder, rank, size, rows, width, queries)
        context = mp.get_context("spawn")
        processes = [context.Process(target=measure, args=(rank, size, folder, memory_mb)) for rank in range(size)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            raise RuntimeError(f"one of {size} processes failed")
        found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(size)]
    return {
        "processes": size,
        "gallery": size * rows,
        "growth MiB": max(each["growth_mib"] for each in found),
        "R1": found[0]["R1"],
    }


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measures, prints, returns what the last line holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rows", type=int, default=60_000, help="of each process's part of the gallery")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--memory_mb", type=int, default=128)
    given = parser.parse_args(arguments)
    rows = [together(size, given.rows, given.width, given.queries, given.memory_mb) for size in given.processes]
    print("| processes | gallery | growth of one, MiB | R1 |\n|---|---|---|---|")
    for row in rows:
        print(f"| {row['processes']} | {row['gallery']:,} | {row['growth MiB']:.0f} | {100 * row['R1']:.1f} |")
    result = {**vars(given), "found": rows}
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
