"""An exported file stands in for a network: `Transfer` embeds with it as the run does."""

import pytest
import torch
from torch.nn.functional import normalize

from wsreid import load_run
from wsreid.errors import ConfigError, WeightsError
from wsreid.export.of_run import LIMIT
from wsreid.methods import Transfer
from wsreid.models.weights_hash import weights_hash


@pytest.fixture
def images():
    return torch.randint(0, 256, (5, 3, 32, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_features_are_those_of_the_run(exported, exportable, images):
    run, model = load_run(exportable), Transfer(weights=str(exported[0])).eval()
    with torch.no_grad():
        expected, found = run.method.embed(images), model.embed(images)
    assert (normalize(found) - normalize(expected)).abs().max() < LIMIT
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert model.network.feature_dim == expected.shape[1]
    assert model.row_name == f"{exported[0].name}, BagCE's export"
    assert torch.equal(model.mean, run.method.mean)
    assert model.made_from == {"exported_from": weights_hash(run.method.state_dict())}


def test_two_files_are_two_networks_and_one_file_is_one(export_as, tmp_path):
    first, second = export_as("safetensors")[0], tmp_path / "model.safetensors"
    content = first.read_bytes()
    second.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # one bit of one weight
    hashes = [weights_hash(Transfer(weights=str(file)).state_dict()) for file in (first, second, first)]
    assert hashes[0] == hashes[2] != hashes[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"flip_test": False}, "--model.flip_test False: .* was exported with True"),
        ({"mean": (0.5, 0.5, 0.5)}, r"--model.mean \(0.5, 0.5, 0.5\): .* was exported with \(0.485, 0.456, 0.406\)"),
        ({"std": (0.5, 0.5, 0.5)}, r"--model.std .* was exported with \(0.229"),
        ({"backbone": "resnet50"}, "--model.backbone resnet50: .* was exported with test_resnet"),
        ({"pretrained": True}, "--model.pretrained True: .* was exported with no such option"),
        ({"feature": "embedding"}, "--model.feature embedding: .* has one feature"),
    ],
)
def test_options_that_contradict_the_file_are_refused_with_both_values(options, told, export_as):
    with pytest.raises(ConfigError, match=told):
        Transfer(weights=str(export_as("safetensors")[0]), **options)


def test_options_that_repeat_the_file_are_taken(export_as, images):
    file = str(export_as("safetensors")[0])
    same = Transfer(weights=file, flip_test=True, mean=(0.485, 0.456, 0.406), backbone="test_resnet").eval()
    assert torch.equal(same.embed(images), Transfer(weights=file).eval().embed(images))


def test_images_of_another_size_are_refused_with_both_sizes(export_as):
    model = Transfer(weights=str(export_as("safetensors")[0]))
    model.check_size(32, 16)
    with pytest.raises(ConfigError, match=r"takes images of 32x16 .* resized to 256x128: --data.height 32"):
        model.check_size(256, 128)


def test_a_damaged_file_is_told(export_as, tmp_path):
    torn = tmp_path / "model.safetensors"
    torn.write_bytes(export_as("safetensors")[0].read_bytes()[:1000])
    with pytest.raises(WeightsError, match="is damaged"):
        Transfer(weights=str(torn))
