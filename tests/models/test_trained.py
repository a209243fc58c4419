"""A trained network is read whole from its file, by whatever the file tells."""

import pytest
import torch
import torch.nn.functional as F

from wsreid.errors import WeightsError
from wsreid.methods import BagCE
from wsreid.models.osnet import OSNet
from wsreid.models.trained import read_trained

IMAGES = torch.randint(0, 256, (3, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
MEAN = (0.4, 0.5, 0.6)


def run_checkpoint(path, **options):
    torch.manual_seed(0)
    run = BagCE(num_ids=3, backbone="osnet_x0_25", **options)
    state = {"state_dict": run.state_dict(), "hyper_parameters": dict(run.hparams)}
    torch.save(state, path)
    return run.eval()


def test_a_runs_checkpoint_tells_network_and_normalisation(tmp_path):
    run = run_checkpoint(tmp_path / "last.ckpt", pooling="gem", mean=MEAN)
    found = read_trained(str(tmp_path / "last.ckpt"))
    with torch.no_grad():
        torch.testing.assert_close(found.embed(IMAGES), run.embed(IMAGES))
    assert found.mean == MEAN
    assert found.size is None
    assert not found.network.training
    assert not any(parameter.requires_grad for parameter in found.network.parameters())


def test_another_projects_file_tells_its_size_and_another_may_be_asked_for(tmp_path):
    network = OSNet("osnet_x0_25", neck="none").eval()
    torch.save(network.state_dict(), tmp_path / "elsewhere.pth")
    assert read_trained(str(tmp_path / "elsewhere.pth")).size == (256, 128)
    found = read_trained(str(tmp_path / "elsewhere.pth"), size=(64, 32))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (found.mean, found.std))
    larger = F.interpolate((IMAGES / 255 - mean) / std, (64, 32), mode="bilinear", antialias=True)
    with torch.no_grad():
        torch.testing.assert_close(found.embed(IMAGES), network(larger).features)


def test_a_file_of_other_keys_is_taken_with_the_backbone(tmp_path):
    run = run_checkpoint(tmp_path / "last.ckpt")
    torch.save({f"network.{key}": value for key, value in run.network.state_dict().items()}, tmp_path / "bare.pth")
    found = read_trained(str(tmp_path / "bare.pth"), "osnet_x0_25")
    with torch.no_grad():
        torch.testing.assert_close(found.embed(IMAGES), run.embed(IMAGES))
    with pytest.raises(WeightsError, match="do not say of which network"):
        read_trained(str(tmp_path / "bare.pth"))


def test_the_hash_is_of_the_file(tmp_path):
    first = run_checkpoint(tmp_path / "a.ckpt")
    (tmp_path / "b.ckpt").write_bytes((tmp_path / "a.ckpt").read_bytes())
    assert read_trained(str(tmp_path / "a.ckpt")).sha256 == read_trained(str(tmp_path / "b.ckpt")).sha256
    first.network.conv1.conv.weight.data.add_(1)
    torch.save({"state_dict": first.state_dict(), "hyper_parameters": dict(first.hparams)}, tmp_path / "b.ckpt")
    assert read_trained(str(tmp_path / "a.ckpt")).sha256 != read_trained(str(tmp_path / "b.ckpt")).sha256
