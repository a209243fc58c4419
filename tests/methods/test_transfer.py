import logging
from types import SimpleNamespace

import pytest
import torch

from wsreid.cli.main import main
from wsreid.errors import ConfigError, WeightsError
from wsreid.methods import BagCE, Transfer
from wsreid.models.osnet import OSNet


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(0)
    torch.save(OSNet("osnet_x0_25", neck="none").state_dict(), tmp_path / "elsewhere.pth")
    return tmp_path / "elsewhere.pth"


def test_features_are_those_of_the_file(file):
    model = Transfer(weights=str(file)).eval()
    network = OSNet("osnet_x0_25", neck="none").eval()
    network.load_state_dict(torch.load(file, weights_only=True))
    images = torch.randint(0, 256, (2, 3, 64, 32), dtype=torch.uint8)
    with torch.no_grad():
        expected = network(model.normalise(images)).features
        torch.testing.assert_close(model.embed(images), expected)
        both = Transfer(weights=str(file), flip_test=True).eval().embed(images)
        torch.testing.assert_close(both, expected + network(model.normalise(images.flip(-1))).features)
    assert model.row_name == "elsewhere.pth, trained elsewhere"
    assert model.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert Transfer(weights=str(file), mean=(0.5, 0.5, 0.5)).mean.flatten().tolist() == [0.5] * 3


def test_a_runs_checkpoint_and_a_backbones_own_keys_are_taken_with_the_backbone(tmp_path, file):
    run = BagCE(num_ids=3, backbone="osnet_x0_25")
    state = {f"network.{key}": value for key, value in run.network.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "last.ckpt")
    images = torch.randint(0, 256, (2, 3, 64, 32), dtype=torch.uint8)
    model = Transfer(weights=str(tmp_path / "last.ckpt"), backbone="osnet_x0_25").eval()
    with torch.no_grad():
        torch.testing.assert_close(model.embed(images), run.eval().embed(images))
    with pytest.raises(WeightsError, match="no published format"):
        Transfer(weights=str(tmp_path / "last.ckpt"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "--model.weights FILE"),
        ({"pretrained": True}, "--model.backbone NAME"),
        ({"backbone": "osnet_x0_25"}, "no weights for 'osnet_x0_25'"),
    ],
)
def test_without_weights_there_is_nothing_to_score(options, told):
    with pytest.raises(ConfigError, match=told):
        Transfer(**options)


def test_weights_by_name_without_a_network_are_one_clear_line(monkeypatch):
    def unreachable(*_args, **_options):
        raise OSError("Network is unreachable")

    monkeypatch.setattr("timm.create_model", unreachable)
    for name in ("test_resnet", "hf-hub:timm/test_resnet.r160_in1k"):
        with pytest.raises(WeightsError, match="Without a network, fetch them elsewhere") as error:
            Transfer(backbone=name, pretrained=True)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("command", ["fit", "test"])
def test_it_is_never_trained_and_takes_no_checkpoint(command, file, tmp_path):
    run = tmp_path / "run"
    args = ["--ckpt_path", "x.ckpt"] if command == "test" else []
    with pytest.raises(ConfigError, match="only scores weights that were trained elsewhere"):
        main([command, "--model", "Transfer", "--model.weights", str(file), "--run", str(run), *args])
    assert not run.exists()
    with pytest.raises(ConfigError, match="only scores"):
        Transfer(weights=str(file)).setup("fit")


def test_the_size_of_the_training_is_no_warning(file, caplog):
    model = Transfer(weights=str(file))
    for height, warned in ((256, False), (128, True)):
        model._trainer = SimpleNamespace(datamodule=SimpleNamespace(height=height, width=height // 2))
        with caplog.at_level(logging.WARNING):
            model.setup("test")
        assert ("trained on images of 256x128" in caplog.text) is warned
