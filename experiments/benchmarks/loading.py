"""From JPEG bytes to augmented 256 x 128 tensors on one core, beside the least that must be done.

    OMP_NUM_THREADS=1 python experiments/benchmarks/loading.py [--images 256] [--turns 41]

Ours is `BagDataset` on a manifest, as a DataLoader worker runs it: where the bytes are, reading them, the header's
check, decoding, resize, pad-crop, flip, erasing, the stacked batch. The floor is a loop of cv2.imdecode, cv2.resize
and torch.from_numpy over the same bytes, already in memory, without augmentation or a copy to planes. All of them take
turns, each on the same batch of 64 images, and a ratio is the median over the turns of one turn's ratio: what else the
machine does then weighs on both sides. Files and tar are in the page cache. The images are rendered pedestrians,
enlarged, with a sensor's noise; white noise stands beside them, as the dearest JPEG that there is.

Prints tables, and one JSON object on the last line.
"""

import argparse
import json
import statistics
import tarfile
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch

from wsreid.data.bag_settings import BagSettings
from wsreid.data.dataset import BagDataset
from wsreid.data.erasing import erase
from wsreid.data.image_header import read_header
from wsreid.data.images import read_image
from wsreid.data.jitter import ORDERS, jittered
from wsreid.data.make_bags import make_bags
from wsreid.data.manifest import ImageRecords, Manifest, Split, write_manifest
from wsreid.data.rendered import RenderSettings
from wsreid.data.rendered.dataset import write_rendered
from wsreid.data.samplers import BagSampler, BatchPlan
from wsreid.data.seeding import stream
from wsreid.data.transforms import AugmentSettings, TrainTransform, padded_crop, resized, to_planes

HEIGHT, WIDTH = 256, 128
QUALITY = 90
NOISE = 2.0  # standard deviation of a camera's noise, in grey values
BAGS, PER_BAG = 8, 8
Item = TypeVar("Item")
Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


@dataclass(frozen=True)
class Case:
    """Images of one kind, ready to be read.

    Attributes:
        name: What they are.
        data: Their bytes.
        files: Manifest of one file an image.
        tar: Manifest of the same images in one tar.
    """

    name: str
    data: list[bytes]
    files: Manifest
    tar: Manifest


@dataclass(frozen=True)
class Speed:
    """Seconds an image, by what was timed; one figure a turn."""

    seconds: dict[str, list[float]]

    def rate(self, name: str) -> float:
        """Images a second, by the median turn."""
        return 1 / statistics.median(self.seconds[name])

    def ratio(self, name: str, other: str) -> float:
        """Speed of one over that of another: the median over the turns."""
        pairs = zip(self.seconds[name], self.seconds[other], strict=True)
        return statistics.median(theirs / mine for mine, theirs in pairs)


def pedestrians(count: int, height: int, width: int, folder: Path) -> list[bytes]:
    """Rendered pedestrians as JPEGs of some size."""
    write_rendered(folder, RenderSettings(train_ids=max(count // 12, 2) + 1, test_ids=2, distractors=0, junk=0))
    rng = np.random.default_rng(0)
    names = sorted(folder.rglob("*.jpg"))
    images = [cv2.imread(str(names[i % len(names)])) for i in range(count)]
    return [jpeg(resized_with_noise(np.asarray(image, np.uint8), height, width, rng)) for image in images]


def resized_with_noise(image: Pixels, height: int, width: int, rng: np.random.Generator) -> Pixels:
    """An image of another size, as a camera might have taken it: without noise, enlarged JPEGs are very small."""
    large = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, NOISE, large.shape)
    result: Pixels = (large + noise).round().clip(0, 255).astype(np.uint8)
    return result


def white_noise(count: int, height: int, width: int) -> list[bytes]:
    """JPEGs of random pixels."""
    rng = np.random.default_rng(1)
    return [jpeg(rng.integers(0, 256, (height, width, 3), np.uint8)) for _ in range(count)]


def jpeg(image: Pixels) -> bytes:
    """An image as a JPEG of quality 90."""
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())


def prepared(name: str, data: list[bytes], folder: Path) -> Case:
    """Writes images as files and as a tar, each with a manifest."""
    root = folder / "root"
    root.mkdir(parents=True)
    with tarfile.open(root / "all.tar", "w") as tar:
        for i, content in enumerate(data):
            (root / f"{i:06d}.jpg").write_bytes(content)
            tar.add(root / f"{i:06d}.jpg", f"{i // 8:010d}/{i:06d}.jpg")
    with tarfile.open(root / "all.tar") as tar:
        places = [(member.offset_data, member.size) for member in tar]
    offset, size = np.array(places, np.int64).T
    names = [f"{i:06d}.jpg" for i in range(len(data))]
    of_files = records(names, np.full(len(data), -1), size, np.arange(len(data)))
    of_tar = records(["all.tar"], offset, size, np.zeros(len(data), np.int64))
    manifests = []
    for kind, rows in (("files", of_files), ("tar", of_tar)):
        write_manifest(folder / f"{kind}.arrow", rows, source="benchmark", root=root)
        manifests.append(Manifest.open(folder / f"{kind}.arrow"))
    return Case(name, data, *manifests)


def records(
    file: list[str],
    offset: np.ndarray[tuple[int], np.dtype[np.int64]],
    size: np.ndarray[tuple[int], np.dtype[np.int64]],
    file_index: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> ImageRecords:
    """Training images, eight of each identity."""
    count = len(offset)
    pid = np.arange(count) // 8 + 1
    return ImageRecords(
        file=file,
        offset=offset,
        size=size,
        camera=np.ones(count, np.int32),
        sequence=np.ones(count, np.int32),
        frame=np.arange(count),
        split=np.full(count, int(Split.TRAIN), np.int8),
        pid=pid.astype(np.int32),
        identities=np.unique(pid).astype(np.int64),
        file_index=file_index.astype(np.int32),
    )


def plans_of(manifest: Manifest, epochs: int) -> list[BatchPlan]:
    """Batches of whole bags, over some epochs."""
    bags = make_bags(manifest, BagSettings(), manifest.rows(Split.TRAIN))
    sampler = BagSampler(bags, bags_per_batch=BAGS, images_per_bag=PER_BAG, seed=0)
    plans = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        plans += list(sampler)
    return plans


def floor(data: list[bytes], rows: list[int]) -> list[torch.Tensor]:
    """The least that turns JPEG bytes into tensors of the right size."""
    result = []
    for row in rows:
        image = cv2.imdecode(np.frombuffer(data[row], np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        result.append(torch.from_numpy(cv2.resize(image, (WIDTH, HEIGHT))).permute(2, 0, 1))  # to (3, H, W), a view
    return result


def measured(case: Case, turns: int) -> Speed:
    """Times the floor, ours from files and from the tar, and ours with colour jitter, in turns."""
    plain = TrainTransform(HEIGHT, WIDTH, AugmentSettings())
    colour = TrainTransform(HEIGHT, WIDTH, AugmentSettings(jitter=0.2))
    files, tar, jitter = BagDataset(case.files, plain), BagDataset(case.tar, plain), BagDataset(case.files, colour)
    plans = plans_of(case.files, 4)
    seconds: dict[str, list[float]] = {name: [] for name in ("floor", "files", "tar", "jitter")}
    for turn in range(-2, turns):  # two turns warm up
        plan = plans[turn % len(plans)]
        rows = plan.row.tolist()
        work: dict[str, Callable[[], object]] = {
            "floor": lambda rows=rows: floor(case.data, rows),  # type: ignore[misc]
            "files": lambda plan=plan: files[plan],  # type: ignore[misc]
            "tar": lambda plan=plan: tar[plan],  # type: ignore[misc]
            "jitter": lambda plan=plan: jitter[plan],  # type: ignore[misc]
        }
        names = list(work)
        for name in names[turn % 4 :] + names[: turn % 4]:  # none of them always comes first
            start = time.perf_counter()
            work[name]()
            taken = (time.perf_counter() - start) / len(rows)
            if turn >= 0:
                seconds[name].append(taken)
    return Speed(seconds)


def each(step: Callable[[Item], object], items: Sequence[Item]) -> Callable[[], object]:
    """Does a step to each item and forgets the result, so that its memory is used again."""
    return lambda: deque(map(step, items), maxlen=0)


def into_batch(images: list[Pixels]) -> Callable[[], object]:
    """Writes images to a new batch, whose memory the system hands out page by page as it is written."""

    def work() -> None:
        batch = np.empty((len(images), 3, HEIGHT, WIDTH), np.uint8)
        for image, out in zip(images, batch, strict=True):
            to_planes(image, out)

    return work


def profile(case: Case, turns: int) -> dict[str, float]:
    """Seconds an image of each step, timed alone; what they leave of the whole is Python between them."""
    rng = np.random.default_rng(0)
    plain = BagDataset(case.files, TrainTransform(HEIGHT, WIDTH, AugmentSettings()))
    plan = plans_of(case.files, 1)[0]
    rows = plan.row.tolist()
    places = [case.files.location(row) for row in rows]
    buffers = [np.frombuffer(case.data[row], np.uint8) for row in rows]
    decoded = [read_image(place) for place in places]
    sized = [resized(image, HEIGHT, WIDTH) for image in decoded]
    cropped = [padded_crop(image, 10, 0.3, 0.6) for image in sized]
    planes = [to_planes(image) for image in sized]
    half = slice(0, None, 2)  # flip and erasing are done to every other image
    steps: dict[str, Callable[[], object]] = {
        "whole": lambda: plain[plan],
        "where the bytes are": each(case.files.location, rows),
        "read_image": each(read_image, places),
        "header": each(read_header, [case.data[row] for row in rows]),
        "decode": each(lambda buffer: cv2.imdecode(buffer, cv2.IMREAD_COLOR), buffers),
        "random numbers": each(lambda row: stream("augment", 0, 0, row, 0).random(8).tolist(), rows),
        "resize": each(lambda image: resized(image, HEIGHT, WIDTH), decoded),
        "pad and crop": each(lambda image: padded_crop(image, 10, 0.3, 0.6), sized),
        "flip (half of them)": each(lambda image: cv2.flip(image, 1), cropped[half]),
        "to planes, into the batch": into_batch(cropped),
        "erasing (half of them)": each(lambda plane: erase(plane, rng, "mean"), planes[half]),
        "colour jitter": each(lambda image: jittered(image, (0.9, 1.1, 1.2), ORDERS[0]), sized),
    }
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(-1, turns):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if turn >= 0:
                taken[name].append((time.perf_counter() - start) / len(rows))
    found = {name: statistics.median(times) for name, times in taken.items()}
    whole, reading, jitter = found.pop("whole"), found.pop("read_image"), found.pop("colour jitter")
    found = {"read the file, swap colours": reading - found["header"] - found["decode"], **found}
    return {**found, "the rest": whole - sum(found.values()), "whole": whole, "colour jitter, beside": jitter}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=256, help="images of each kind, 64 a batch (default 256)")
    parser.add_argument("--turns", type=int, default=41, help="turns, of which the median counts (default 41)")
    args = parser.parse_args()
    cv2.setNumThreads(0)  # as in a worker
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        large = prepared("144 x 288", pedestrians(args.images, 288, 144, folder / "rendered_a"), folder / "a")
        cases = [
            large,
            prepared("64 x 128", pedestrians(args.images, 128, 64, folder / "rendered_b"), folder / "b"),
            prepared("144 x 288, white noise", white_noise(args.images, 288, 144), folder / "c"),
        ]
        speeds = {case.name: measured(case, args.turns) for case in cases}
        steps = profile(large, args.turns)
    print("Images a second a core:\n")
    print("| images | bytes each | floor | ours, files | ours, tar | with jitter | ours / floor | tar / files |")
    print(f"|{'---|' * 8}")
    for case in cases:
        speed = speeds[case.name]
        rates = " | ".join(f"{speed.rate(name):,.0f}" for name in ("floor", "files", "tar", "jitter"))
        size = statistics.mean(len(data) for data in case.data)
        ratios = f"{speed.ratio('files', 'floor'):.2f} | {speed.ratio('tar', 'files'):.2f}"
        print(f"| {case.name} | {size:,.0f} | {rates} | {ratios} |")
    print(
        f"\nWhere the time goes ({large.name}, files), microseconds an image:\n\n| step | us | share |\n|---|---|---|"
    )
    for name, seconds in steps.items():
        print(f"| {name} | {seconds * 1e6:.0f} | {seconds / steps['whole']:.0%} |")
    of_large = speeds[large.name]
    decode_ratio, tar_ratio = of_large.ratio("files", "floor"), of_large.ratio("tar", "files")
    print(json.dumps({"decode_ratio": round(decode_ratio, 3), "tar_ratio": round(tar_ratio, 3)}))


if __name__ == "__main__":
    main()
