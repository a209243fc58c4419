"""What a manifest of SYSU-30k's 29,606,918 rows costs a training run: time to open, memory, order of an epoch, workers.

    python experiments/benchmarks/manifest.py [--rows 29606918] [--folder DIR] [--workers 2]

Writes a simulated manifest (1.2 GB) of ten training tars and a test tar, 28,310 folders and 84,930 bags through the
package's own writers, then measures what `fit` does with them, each figure in a fresh process, nothing subtracted but
the memory right after the imports. The files are in the page cache, as the writer leaves them. Prints a table, and one
JSON object on the last line:

open_s         Opening manifest and bags and checking them, as `fit` does before its first batch; median of 5.
rss_mb         The most that the resident set grew, mapped pages included, while the rows of all of an epoch's bags were
               drawn and looked up in one process.
first_batch_s  From there to the rows of the first batch; median of 5.
epoch_order_s  All batches of an epoch: which bags, which of their images, their rows and candidates.
worker_mb      The largest unique set size of a forked DataLoader worker: while it reads, decodes and augments some
               batches, and while it looks up the rows of a whole epoch.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import torch
from simulated_sysu import BAGS, LABELS, MANIFEST, ROWS, simulated_records
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from wsreid.data.bag_settings import BagSettings
from wsreid.data.datamodule import BagDataModule
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import Manifest, Split, write_manifest
from wsreid.data.samplers import BatchPlan
from wsreid.data.sources import SYSU30k

Figures = dict[str, float]
AIMS = {"open_s": 1.0, "rss_mb": 250.0, "first_batch_s": 1.0, "epoch_order_s": 5.0, "worker_mb": 150.0}
REPEATS = 5
DECODED = 100  # batches that the workers really read
_SETTINGS = BagSettings(protocol="sysu")


class Rows(Dataset[Tensor]):
    """Looks up what a batch needs to know of each image, as `BagDataset` does, and reads no image."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    def __getitem__(self, plan: BatchPlan) -> Tensor:
        """Sum of all that was looked up, so that nothing can be left out."""
        found = sum(self.manifest.location(int(row)).offset for row in plan.row)
        columns = ("camera", "sequence", "frame", "pid")
        return torch.tensor(found + sum(int(self.manifest.take(column, plan.row).sum()) for column in columns))


def megabytes() -> float:
    """This process's resident set, shared and mapped pages included."""
    return float(psutil.Process().memory_info().rss) / 1e6


def restart_peak() -> None:
    """Lets `peak_megabytes` count from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_megabytes() -> float:
    """The largest resident set of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


def opened(folder: Path, workers: int = 0) -> BagDataModule:
    """The data as `fit` has it before its first batch."""
    data = BagDataModule(
        source=SYSU30k(),
        root=folder,
        manifest=folder / MANIFEST,
        bags=_SETTINGS,
        bag_file=folder / BAGS,
        num_workers=workers,
    )
    _ = data.num_ids
    data.setup("fit")
    return data


def plans(data: BagDataModule) -> Iterator[BatchPlan]:
    """One epoch's batches, without their images."""
    sampler = data.train_dataloader().sampler
    return iter(sampler)


def measure_manifest(folder: Path, rows: int) -> Figures:
    """Writes the manifest."""
    records = simulated_records(rows, folder)
    restart_peak()
    before, start = megabytes(), time.perf_counter()
    write_manifest(folder / MANIFEST, records, source=SYSU30k.name, root=folder)
    taken = time.perf_counter() - start
    size = (folder / MANIFEST).stat().st_size
    return {"manifest_s": taken, "manifest_peak_mb": peak_megabytes() - before, "manifest_gb": size / 1e9}


def measure_bags(folder: Path) -> Figures:
    """Makes and writes the bags of the label file."""
    restart_peak()
    before, start = megabytes(), time.perf_counter()
    manifest = Manifest.open(folder / MANIFEST)
    bags = make_bags(manifest, _SETTINGS, manifest.rows(Split.TRAIN), label_file=folder / LABELS)
    bags.write(folder / BAGS)
    taken = time.perf_counter() - start
    return {"bags_s": taken, "bags_peak_mb": peak_megabytes() - before, "bags": len(bags), "members": bags.n_members}


def measure_open(folder: Path) -> Figures:
    """Opens, and looks up the first batch."""
    start = time.perf_counter()
    data = opened(folder)
    ready = time.perf_counter()
    Rows(data.manifest)[next(plans(data))]
    return {"open_s": ready - start, "first_batch_s": time.perf_counter() - ready}


def measure_memory(folder: Path) -> Figures:
    """Draws and looks up a whole epoch."""
    restart_peak()
    before = megabytes()
    data = opened(folder)
    rows = Rows(data.manifest)
    for plan in plans(data):
        rows[plan]
    return {"rss_mb": peak_megabytes() - before}


def measure_epoch(folder: Path) -> Figures:
    """Plans a whole epoch."""
    data = opened(folder)
    start = time.perf_counter()
    images = sum(len(plan.row) for plan in plans(data))
    return {"epoch_order_s": time.perf_counter() - start, "images_drawn": images}


def measure_workers(folder: Path, workers: int) -> Figures:
    """Runs forked workers on real batches, then over the rows of a whole epoch."""
    data = opened(folder, workers)
    reading = _largest_worker(data.train_dataloader(), DECODED)
    sampler = data.train_dataloader().sampler
    looking = _largest_worker(DataLoader(Rows(data.manifest), sampler=sampler, batch_size=None, num_workers=workers))
    return {"worker_mb": max(reading, looking), "worker_reading_mb": reading, "worker_looking_up_mb": looking}


def _largest_worker(loader: DataLoader[object], batches: int | None = None) -> float:
    most = 0.0
    for step, _ in enumerate(loader):
        if step % 25 == 24 or step < 2:
            workers = psutil.Process().children()
            most = max([most, *(float(worker.memory_full_info().uss) / 1e6 for worker in workers)])
        if step + 1 == batches:
            break
    return most


def fresh(name: str, folder: Path, rows: int, workers: int) -> Figures:
    """Takes one measurement in a process of its own."""
    arguments = ["--measure", name, "--folder", str(folder), "--rows", str(rows), "--workers", str(workers)]
    done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def run(folder: Path, rows: int, workers: int) -> Figures:
    """Takes all measurements; prints them as they come."""
    found: Figures = {}
    for name, repeats in (("manifest", 1), ("bags", 1), ("open", REPEATS), ("memory", 1), ("epoch", 1), ("workers", 1)):
        taken = [fresh(name, folder, rows, workers) for _ in range(repeats)]
        for figure in taken[0]:
            found[figure] = statistics.median(one[figure] for one in taken)
            aim = f"  (aim: at most {AIMS[figure]:g})" if figure in AIMS else ""
            print(f"{figure:22} {found[figure]:12.6g}{aim}", flush=True)
    return {figure: round(found[figure], 3) for figure in AIMS}


def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark, or one measurement of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help=f"images (default {ROWS:,})")
    parser.add_argument("--folder", type=Path, help="where to write (default: a temporary folder, removed at the end)")
    parser.add_argument("--workers", type=int, default=2, help="DataLoader workers (default 2)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.measure is not None:
        measures: dict[str, Callable[[], Figures]] = {
            "manifest": lambda: measure_manifest(args.folder, args.rows),
            "bags": lambda: measure_bags(args.folder),
            "open": lambda: measure_open(args.folder),
            "memory": lambda: measure_memory(args.folder),
            "epoch": lambda: measure_epoch(args.folder),
            "workers": lambda: measure_workers(args.folder, args.workers),
        }
        print(json.dumps(measures[args.measure]()))
        return
    with tempfile.TemporaryDirectory(prefix="wsreid-manifest-") as temporary:
        folder = Path(temporary) if args.folder is None else args.folder
        folder.mkdir(parents=True, exist_ok=True)
        print(json.dumps(run(folder, args.rows, args.workers)))


if __name__ == "__main__":
    main()
