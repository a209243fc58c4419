"""Indexing a tar of many small members, beside what the standard library takes.

    OMP_NUM_THREADS=1 python experiments/benchmarks/tar_index.py [--members 1000000] [--reference 100000]

Writes a tar of JPEG-like members of about 2.7 KB, SYSU-30k's mean, into a temporary folder, indexes it in a process of
its own, and walks through its first `--reference` members by `tarfile` in another one. Memory is the growth of the
indexing process over what it had after its imports. Prints a table, and one JSON object on the last line.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

FOLDER_IMAGES = 1000
MEAN_BYTES = 2700


def write(path: Path, members: int) -> None:
    """Writes the tar; headers by `tarfile`, so that they are real ones."""
    rng = random.Random(0)
    picture = b"\xff\xd8\xff\xe0" + rng.randbytes(2 * MEAN_BYTES)
    with path.open("wb") as file:
        for number in range(members):
            entry = tarfile.TarInfo(f"sysu_train_set_all/{number // FOLDER_IMAGES + 1:010d}/{number:08d}.jpg")
            entry.size = rng.randrange(MEAN_BYTES // 2, 3 * MEAN_BYTES // 2)
            data = picture[: entry.size]
            file.write(entry.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512))
        file.write(bytes(10240))


def index(path: Path, members: int) -> dict[str, float]:
    """Indexes the tar as `prepare` does; returns seconds, and MiB of growth."""
    from wsreid.data.tars.index import make_index

    before = fresh_peak()
    start, used = time.perf_counter(), time.process_time()
    made = make_index(path)
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    if made.rows != members or made.findings.counts:
        raise RuntimeError(f"{made.rows} rows of {members}, {made.findings.lines()}")
    return {
        "seconds": seconds,
        "cpu": cpu,
        "rss_mb": peak() - before,
        "bytes_a_row": made.path.stat().st_size / members,
    }


def walk_by_tarfile(path: Path, members: int) -> dict[str, float]:
    """Walks through the first members by `tarfile`, keeping offset and size of each; it keeps its own objects too."""
    before = fresh_peak()
    start, used = time.perf_counter(), time.process_time()
    offsets: list[tuple[int, int]] = []
    with tarfile.open(path) as tar:
        for member in tar:
            offsets.append((member.offset_data, member.size))
            if len(offsets) == members:
                break
    return {"seconds": time.perf_counter() - start, "cpu": time.process_time() - used, "rss_mb": peak() - before}


def fresh_peak() -> float:
    """Forgets the most memory held so far, which imports may have taken; returns what is held now, MiB. Linux only."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """The most memory that this process has held since, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def apart(work: Callable[[Path, int], dict[str, float]], path: Path, members: int) -> dict[str, float]:
    """Runs some work in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_answer, args=(there, work, path, members))
    process.start()
    there.close()
    result: dict[str, float] = here.recv()
    process.join()
    return result


def _answer(answer: Connection, work: Callable[[Path, int], dict[str, float]], path: Path, members: int) -> None:
    answer.send(work(path, members))


def main() -> None:
    """Writes the tar, times both, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1_000_000, help="members of the tar (default 1000000)")
    parser.add_argument("--reference", type=int, default=100_000, help="members for tarfile (default 100000)")
    args = parser.parse_args()
    reference = min(args.reference, args.members)

    folder = Path(tempfile.mkdtemp(prefix="wsreid-tar-"))
    os.environ["WSREID_CACHE_DIR"] = str(folder / "cache")
    try:
        write(folder / "part.tar", args.members)
        ours = apart(index, folder / "part.tar", args.members)
        theirs = apart(walk_by_tarfile, folder / "part.tar", reference)
    finally:
        shutil.rmtree(folder)
    print("| | members | members a second | a CPU second | memory grown, MiB |\n|---|---|---|---|---|")
    for name, count, taken in (("index", args.members, ours), ("tarfile", reference, theirs)):
        rates = f"{count / taken['seconds']:,.0f} | {count / taken['cpu']:,.0f}"
        print(f"| {name} | {count:,} | {rates} | {taken['rss_mb']:.0f} |")
    print(f"The index file has {ours['bytes_a_row']:.1f} bytes a member.")
    figures = {
        "members": args.members,
        "members_per_s": round(args.members / ours["seconds"]),
        "tarfile_members_per_s": round(reference / theirs["seconds"]),
        "rss_mb": round(ours["rss_mb"], 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
