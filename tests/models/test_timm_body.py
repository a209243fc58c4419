import pytest
import timm
import torch

from wsreid.errors import ConfigError, WeightsError
from wsreid.models import timm_body
from wsreid.models.timm_body import classifier_names, create_body, ends_in_map, is_timm_name, low_level_stage

IMAGES = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def map_size(body):
    with torch.no_grad():
        return tuple(body.eval().forward_features(IMAGES).shape[2:])


# One of each way in which timm's ResNets shrink the map: stride in the first or second convolution, average pool on the
# shortcut, blur pool, selective kernels, a pool inside the block.
@pytest.mark.parametrize("name", ["resnet18", "resnet26", "resnet14t", "resnetblur18", "skresnet18", "resnest14d"])
def test_resnets_take_last_stride_one(name):
    assert map_size(create_body(name, last_stride=2)) == (2, 1)
    assert map_size(create_body(name, last_stride=1)) == (4, 2)


def test_last_stride_one_computes_the_same_at_more_positions():
    torch.manual_seed(0)
    strided = create_body("resnet26", last_stride=2).eval()
    flat = create_body("resnet26", last_stride=1).eval()
    assert flat.load_state_dict(strided.state_dict()).missing_keys == []
    x = torch.randn(1, 1024, 4, 2)
    with torch.no_grad():
        torch.testing.assert_close(flat.layer4[0](x)[:, :, ::2, ::2], strided.layer4[0](x))


@pytest.mark.parametrize("name", ["test_convnext", "test_efficientnet", "regnetx_002"])
def test_bodies_with_output_stride_take_last_stride_one(name):
    assert map_size(create_body(name, last_stride=1)) == (4, 2)
    assert map_size(create_body(name)) == (2, 1)


@pytest.mark.parametrize(("name", "asked", "own"), [("mobilenetv3_small_050", 1, 2), ("test_vit", 2, 1)])
def test_a_body_that_cannot_says_what_it_can(name, asked, own):
    with pytest.raises(ConfigError, match=f"{name}.*last stride {asked}.*last_stride to {own}"):
        create_body(name, last_stride=asked)


def test_a_wrong_tag_is_a_config_error():
    with pytest.raises(ConfigError, match=r"resnet18\.nonsense"):
        create_body("resnet18.nonsense")


def test_published_weights_that_cannot_be_fetched_are_a_weights_error(monkeypatch):
    def offline(name, **options):
        raise OSError("no route to host")

    monkeypatch.setattr(timm_body.timm, "create_model", offline)
    with pytest.raises(WeightsError, match=r"test_resnet.*no route to host.*weights"):
        create_body("test_resnet", pretrained=True)


def test_a_body_without_published_weights_is_a_weights_error():
    with pytest.raises(WeightsError, match="resnet10t"):
        create_body("resnet10t.nonsense", pretrained=True)


def test_names_with_and_without_a_tag_are_known():
    assert is_timm_name("resnet50")
    assert is_timm_name("resnet50.a1_in1k")
    assert not is_timm_name("resnet5o")


@pytest.mark.parametrize(
    ("name", "stage", "channels"),
    [("resnet26", 1, 256), ("test_convnext", 0, 24), ("test_vit", 0, 64), ("test_efficientnet", 1, 24)],
)
def test_the_low_level_stage_is_a_quarter_or_the_first(name, stage, channels):
    body = create_body(name)
    assert low_level_stage(body) == stage
    assert body.feature_info[stage]["num_chs"] == channels


def test_classifiers_are_those_of_timm_and_the_common_name():
    assert classifier_names(create_body("test_resnet")) == ("classifier", "fc")
    distilled = timm.create_model("test_vit", num_classes=0)
    distilled.pretrained_cfg = {"classifier": ("head", "head_dist")}
    assert classifier_names(distilled) == ("classifier", "head", "head_dist")


def test_what_a_body_ends_in_is_found_without_changing_it():
    body = create_body("test_resnet").train()
    before = {key: value.clone() for key, value in body.state_dict().items()}
    assert ends_in_map(body)
    assert body.training
    assert all(torch.equal(value, before[key]) for key, value in body.state_dict().items())
    assert not ends_in_map(create_body("test_vit"))
