"""Statistics by camera, against a naive loop over cameras."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.methods.conftest import eval_batch
from wsreid.methods import BagCE
from wsreid.methods.camera_statistics import CameraEmbedding, Sums, batch_norms, camera_sums, together


class Convolved(nn.Module):
    """Two layers of batch normalisation in 2-d, one in 1-d."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.Dropout(0.5)
        )
        self.neck = nn.BatchNorm1d(5)
        for norm in batch_norms(self).values():
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.running_mean)

    def embed(self, images):
        return self.neck(self.body(images.float() / 255).mean((2, 3)))


def of_cameras(*cameras, seed=0):
    batch = eval_batch(seed, n=len(cameras))
    return replace(batch, camera=torch.tensor(cameras))


def by_camera(batch):
    return [
        replace(
            batch,
            images=batch.images[batch.camera == c],
            camera=batch.camera[batch.camera == c],
            row=batch.row[batch.camera == c],
        )
        for c in batch.camera.unique()
    ]


@pytest.fixture
def model():
    return Convolved().eval()


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_batch_norm_is_that_of_a_network_that_saw_one_camera_alone(model):
    batch, before = of_cameras(0, 1, 0, 4, 1, 0, 4), state(model)
    sums = camera_sums(model, model.embed, by_camera(batch), "batch_norm")
    found = CameraEmbedding(model, model.embed, sums, "batch_norm")(batch)
    for camera in (0, 1, 4):
        naive = copy.deepcopy(model)
        for norm in batch_norms(naive).values():
            norm.train()  # normalises by the batch: here all images of the camera
        expected = naive.embed(batch.images[batch.camera == camera])
        torch.testing.assert_close(found[batch.camera == camera], expected, atol=1e-5, rtol=1e-4)
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not model.training


def test_statistics_of_several_batches_are_those_of_their_numbers_together_in_any_order(model):
    parts = [of_cameras(*[2] * n, seed=n) for n in (3, 4, 5)]
    sums, turned = (camera_sums(model, model.embed, some, "batch_norm") for some in (parts, parts[::-1]))
    apart = together(camera_sums(model, model.embed, [part], "batch_norm") for part in parts)
    seen = torch.cat([part.images for part in parts]).float() / 255
    first = model.body[0](seen).detach()  # what the first normalisation reads does not depend on the batches
    mean, variance = sums[2]["body.1"].moments
    torch.testing.assert_close(mean.float(), first.mean((0, 2, 3)))
    torch.testing.assert_close(variance.float(), first.var((0, 2, 3), unbiased=False))
    for name, own in sums[2].items():
        assert own.images == 12
        for other in (turned, apart):
            torch.testing.assert_close(own.moments, other[2][name].moments)


@pytest.mark.parametrize("mode", ["feature_mean", "feature_std"])
def test_features_are_centred_and_scaled_by_camera(model, mode):
    batch = of_cameras(0, 1, 0, 1, 1)
    sums = camera_sums(model, model.embed, by_camera(batch), mode)
    found = CameraEmbedding(model, model.embed, sums, mode)(batch)
    plain = model.embed(batch.images).detach()
    for camera in (0, 1):
        own = plain[batch.camera == camera]
        expected = own - own.mean(0)
        if mode == "feature_std":
            expected = expected / (own.var(0, unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(found[batch.camera == camera], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("mode", ["batch_norm", "feature_std"])
def test_an_image_alone_and_one_of_no_known_camera_are_embedded_as_ever(model, mode):
    batch = of_cameras(0, 7, 0, -1)
    sums = camera_sums(model, model.embed, by_camera(of_cameras(0, 7, 0)), mode)
    embedding = CameraEmbedding(model, model.embed, sums, mode)
    assert embedding.cameras == {0}
    found, plain = embedding(batch), model.embed(batch.images)
    torch.testing.assert_close(found[[1, 3]], plain[[1, 3]])
    assert not torch.allclose(found[[0, 2]], plain[[0, 2]], atol=0.01)


def test_only_the_camera_is_read(model):
    batch = of_cameras(0, 1, 0, 1)
    sums = camera_sums(model, model.embed, by_camera(batch), "batch_norm")
    others = replace(batch, pid=batch.pid.flip(0) + 5, row=batch.row + 100)
    same = camera_sums(model, model.embed, by_camera(others), "batch_norm")
    ours, theirs = (
        CameraEmbedding(model, model.embed, each, "batch_norm")(some) for each, some in ((sums, batch), (same, others))
    )
    assert torch.equal(ours, theirs)


def test_a_batch_none_of_whose_images_could_be_read_counts_for_nothing(model):
    nothing = replace(of_cameras(), camera=torch.empty(0, dtype=torch.long))
    assert camera_sums(model, model.embed, [nothing], "batch_norm") == {}
    assert CameraEmbedding(model, model.embed, {}, "batch_norm")(nothing).shape == (0, 5)


def test_an_error_leaves_the_statistics_as_they_were(model):
    before = state(model)

    def breaks(images):
        model.embed(images)
        raise RuntimeError("the power went")

    with pytest.raises(RuntimeError, match="power"):
        camera_sums(model, breaks, [of_cameras(0, 0)], "batch_norm")
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_the_mirror_image_counts_too(tiny_network):
    method = BagCE(num_ids=12, flip_test=True).eval()
    sums = camera_sums(method, method.embed, [of_cameras(0, 0, 0)], "batch_norm")
    assert {name: own.count for name, own in sums[0].items()} == {"network.first.1": 6, "network.second.1": 6}


def test_sums_of_maps_and_of_vectors():
    maps = torch.randn(3, 4, 5, 2)
    sums = Sums.of(maps)
    assert (sums.images, sums.count) == (3, 30)
    assert Sums.of(maps[:, :, 0, 0]).count == 3
