import importlib.util
import os
import runpy

import numpy as np
import pytest
import torch

from wsreid.data.transforms import MEAN_COLOUR, AugmentSettings, EvalTransform, TrainTransform
from wsreid.errors import ConfigError

H, W = 32, 16


@pytest.fixture(scope="module")
def image():
    """Left half dark, right half bright, and nowhere the erasing's colour."""
    picture = np.full((40, 24, 3), 10, np.uint8)
    picture[:, 12:] = 240
    return picture


def key(**changed):
    return {"seed": 0, "epoch": 0, "row": 0, "view": 0} | changed


def flipped(tensor):
    return bool(tensor[0, 0, 0] > 128)


def erased(tensor):
    colour = torch.tensor(MEAN_COLOUR, dtype=torch.uint8)[:, None, None]
    return bool((tensor == colour).all(0).any())


def test_shape_and_type(image):
    for transform in (TrainTransform(H, W, AugmentSettings(jitter=0.1)), EvalTransform(H, W)):
        result = transform(image, **key())
        assert result.shape == (3, H, W)
        assert result.dtype == torch.uint8


def test_key_is_all_that_counts(image):
    settings = AugmentSettings(jitter=0.2)
    first, second = TrainTransform(H, W, settings), TrainTransform(H, W, settings)
    expected = {row: first(image, **key(row=row)) for row in range(8)}
    for row in reversed(range(8)):  # another instance, another order, other global states
        np.random.seed(row)  # noqa: NPY002 - on purpose
        torch.manual_seed(row)
        assert torch.equal(second(image, **key(row=row)), expected[row])


@pytest.mark.parametrize("part", ["seed", "epoch", "row", "view"])
def test_each_part_of_the_key_counts(image, part):
    transform = TrainTransform(H, W, AugmentSettings())
    results = {transform(image, **key(**{part: i})).numpy().tobytes() for i in range(10)}
    assert len(results) >= 9


def test_flip_and_erasing_are_independent(image):
    transform = TrainTransform(H, W, AugmentSettings(pad=0))
    counts = np.zeros((2, 2), int)
    for row in range(800):
        result = transform(image, **key(row=row))
        top, bottom = result[:, 0], result[:, -1]  # a corner may be erased: look at two
        is_flipped = bool((top[0, 0] > 200) | (bottom[0, 0] > 200) | (top[0, -1] < 50) | (bottom[0, -1] < 50))
        counts[int(is_flipped), int(erased(result))] += 1
    # All four are 200 +- 12 if independent; with one stream for both, two of them would be 0.
    assert counts.min() > 150, counts


def test_padding_shifts_by_up_to_pad(image):
    white = np.full((H, W, 3), 255, np.uint8)
    transform = TrainTransform(H, W, AugmentSettings(pad=4, flip=0, erasing=0))
    shifts = set()
    for row in range(150):
        ys, xs = np.nonzero(transform(white, **key(row=row))[0].numpy())
        shifts.add((int(ys.min()) or int(ys.max()) - H + 1, int(xs.min()) or int(xs.max()) - W + 1))
    assert {y for y, _ in shifts} == {x for _, x in shifts} == set(range(-4, 5))


def test_erasing_area_and_ratio():
    plain = np.zeros((256, 128, 3), np.uint8)
    transform = TrainTransform(256, 128, AugmentSettings(pad=0, flip=0, erasing=1))
    areas, ratios = [], []
    for row in range(300):
        ys, xs = np.nonzero(transform(plain, **key(row=row))[0].numpy())
        height, width = np.ptp(ys) + 1, np.ptp(xs) + 1
        areas.append(height * width / plain[..., 0].size)
        ratios.append(height / width)
    assert 0.019 < min(areas) < 0.04
    assert 0.36 < max(areas) < 0.41  # albumentations' own Erasing stops at 0.15 here
    assert 0.28 < min(ratios) < 0.6
    assert 2.8 < max(ratios) < 3.4


def test_erasing_with_random_pixels():
    plain = np.zeros((H, W, 3), np.uint8)
    settings = AugmentSettings(pad=0, flip=0, erasing=1, erasing_fill="random")
    transform = TrainTransform(H, W, settings)
    result = transform(plain, **key())
    assert len(torch.unique(result)) > 5
    assert torch.equal(result, TrainTransform(H, W, settings)(plain, **key()))


def test_everything_off_is_the_plain_resize(image):
    off = TrainTransform(H, W, AugmentSettings(pad=0, flip=0, erasing=0))
    assert torch.equal(off(image, **key()), EvalTransform(H, W)(image))


@pytest.mark.parametrize("wrong", [{"pad": -1}, {"flip": 2}, {"erasing": -0.1}, {"jitter": 1.5}])
def test_settings_are_checked(wrong):
    with pytest.raises(ConfigError, match=f"data.augment.{next(iter(wrong))}"):
        AugmentSettings(**wrong)


def test_import_does_not_call_home(monkeypatch):
    for name in ("erasing", "transforms"):
        monkeypatch.delenv("NO_ALBUMENTATIONS_UPDATE", raising=False)
        seen = []
        monkeypatch.setattr(
            "builtins.__import__",
            lambda module, *args, real=__import__, seen=seen: (
                seen.append(os.environ.get("NO_ALBUMENTATIONS_UPDATE")) if module == "albumentations" else None,
                real(module, *args),
            )[1],
        )
        runpy.run_path(importlib.util.find_spec(f"wsreid.data.{name}").origin)
        monkeypatch.undo()
        assert seen == ["1"]
