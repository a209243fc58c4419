import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wsreid.data.erasing import MEAN_COLOUR
from wsreid.data.transforms import AugmentSettings, EvalTransform, TrainTransform, padded_crop, to_planes
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


@pytest.mark.parametrize("transform", [TrainTransform(H, W, AugmentSettings(erasing=1)), EvalTransform(H, W)])
def test_writes_where_it_is_told_to(image, transform):
    out = np.zeros((2, 3, H, W), np.uint8)
    result = transform(image, **key(), out=out[1])
    assert result.data_ptr() == torch.from_numpy(out[1]).data_ptr()
    assert torch.equal(torch.from_numpy(out[1]), transform(image, **key()))
    assert not out[0].any()


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


def test_every_step_keeps_its_share_and_its_independence(image):
    """Flip, erasing and the two shifts, each pair against the other, over many rows."""
    transform = TrainTransform(H, W, AugmentSettings(pad=1, flip=0.3, erasing=0.2))
    plain = TrainTransform(H, W, AugmentSettings(pad=1, flip=0.3, erasing=0.0))
    marks = []
    for row in range(1500):
        result = plain(image, **key(row=row))
        top, left = int(not result[:, 0].any()), int(not result[:, :, 0].any())
        marks.append((int(result[0, H // 2, 2] > 128), int(erased(transform(image, **key(row=row)))), top, left))
    shares = np.mean(marks, axis=0)
    np.testing.assert_allclose(shares, [0.3, 0.2, 1 / 3, 1 / 3], atol=0.05)
    correlation = np.corrcoef(np.transpose(marks))
    assert np.abs(correlation - np.eye(4)).max() < 0.1  # 0.026 is one standard deviation


def test_turning_a_step_off_leaves_the_others_as_they_were(image):
    whole = TrainTransform(H, W, AugmentSettings(pad=2, jitter=0.3))
    for off in ({"erasing": 0.0}, {"jitter": 0.0}):
        part = TrainTransform(H, W, AugmentSettings(**{"pad": 2, "jitter": 0.3, **off}))
        pairs = [(whole(image, **key(row=r)), part(image, **key(row=r))) for r in range(40)]
        assert sum(torch.equal(a, b) for a, b in pairs) < 40
        if "erasing" in off:
            assert sum(torch.equal(a, b) for a, b in pairs) > 8
            assert all((a == b).float().mean() > 0.5 for a, b in pairs)
        else:
            assert [erased(a) for a, _ in pairs] == [erased(b) for _, b in pairs]


def test_jitter_changes_colours_alone(image):
    strong = TrainTransform(H, W, AugmentSettings(pad=0, flip=0, erasing=0, jitter=0.3))
    looks = torch.stack([strong(image, **key(row=r)) for r in range(100)])  # (100, 3, H, W)
    bright = looks[:, 0, 0, -1].float()
    assert len(bright.unique()) > 20
    assert looks[:, :, 0, 0].float().mean() < 60 < bright.mean()


def test_padding_shifts_by_up_to_pad():
    white = np.full((H, W, 3), 255, np.uint8)
    transform = TrainTransform(H, W, AugmentSettings(pad=4, flip=0, erasing=0))
    counts = np.zeros((2, 9), int)
    for row in range(900):
        ys, xs = np.nonzero(transform(white, **key(row=row))[0].numpy())
        counts[0, 4 + (int(ys.min()) or int(ys.max()) - H + 1)] += 1
        counts[1, 4 + (int(xs.min()) or int(xs.max()) - W + 1)] += 1
    assert counts.min() > 65  # 100 +- 9.4 each
    assert counts.max() < 135


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    pad=st.integers(1, 12),
    top=st.floats(0, 1, exclude_max=True),
    left=st.floats(0, 1, exclude_max=True),
)
def test_padded_crop(shape, pad, top, left):
    image = np.random.default_rng(0).integers(1, 256, (*shape, 3), np.uint8)
    result = padded_crop(image, pad, top, left)
    border = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    y, x = int(top * (2 * pad + 1)), int(left * (2 * pad + 1))
    assert np.array_equal(result, border[y : y + shape[0], x : x + shape[1]])


@given(shape=st.tuples(st.integers(1, 40), st.integers(1, 40)), cut=st.booleans())
def test_to_planes(shape, cut):
    image = np.random.default_rng(1).integers(0, 256, (shape[0] + 2, shape[1] + 2, 3), np.uint8)
    image = image[1:-1, 1:-1] if cut else np.ascontiguousarray(image[2:, 2:])  # a view with longer rows, or whole
    planes = to_planes(image)
    assert planes.flags.c_contiguous
    assert np.array_equal(planes, image.transpose(2, 0, 1))


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
