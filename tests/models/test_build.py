import pytest
import timm
import torch

from wsreid.errors import ConfigError, WeightsError
from wsreid.models import build_network, timm_build
from wsreid.models.mgn import MGN
from wsreid.models.osnet import OSNet
from wsreid.models.timm_net import TimmNet

IMAGES = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def small_mgn(monkeypatch):
    monkeypatch.setattr(timm_build, "_MGN_BODY", "resnet26")


@pytest.mark.parametrize(
    ("name", "kind"), [("osnet_x0_25", OSNet), ("mgn", MGN), ("test_resnet", TimmNet), ("test_vit", TimmNet)]
)
def test_names_build_networks_that_keep_their_word(small_mgn, name, kind):
    network = build_network(name)
    output = network(IMAGES)
    assert isinstance(network, kind)
    assert tuple(head.shape[1] for head in output.heads) == network.head_dims
    assert tuple(feature.shape[1] for feature in output.metric) == network.metric_dims
    assert output.features.shape == (2, network.feature_dim)
    assert output.low_level.requires_grad


def test_the_same_seed_builds_the_same_network():
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build_network("osnet_x0_25").state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize(
    ("name", "right"), [("resnt50", "resnet50"), ("osnet_x025", "osnet_x0_25"), ("zzzzzzzz", "timm.list_models")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name, right):
    with pytest.raises(ConfigError, match=f"unknown backbone '{name}'.*{right}"):
        build_network(name)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("osnet_x0_25", {"pretrained": True}, "torchreid"),
        ("osnet_x0_25", {"last_stride": 2}, "last_stride to 1"),
        ("osnet_x0_25", {"pretrained": True, "weights": "w.pth"}, "both"),
        ("mgn", {"last_stride": 2}, "last_stride at 1"),
        ("mgn", {"neck": "none"}, "neck at bnneck"),
        ("test_resnet", {"last_stride": 3}, "1 or 2"),
        ("test_resnet", {"pooling": "max"}, "avg, gem"),
        ("test_resnet", {"neck": "bn"}, "bnneck, none"),
    ],
)
def test_options_that_cannot_work_are_refused(name, options, words):
    with pytest.raises(ConfigError, match=words):
        build_network(name, **options)


def test_torchreid_checkpoints_load_into_osnet(tmp_path, caplog):
    caplog.set_level("INFO")
    torch.manual_seed(1)
    source = build_network("osnet_x0_25", neck="none")
    state = {f"module.{key}": value for key, value in source.state_dict().items()}
    state["module.classifier.weight"] = torch.zeros(1041, 512)
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "osnet.pth")
    network = build_network("osnet_x0_25", weights=str(tmp_path / "osnet.pth"), pooling="gem")
    assert torch.equal(network.fc[0].weight, source.fc[0].weight)
    assert "classifier.weight (1041, 512)" in caplog.text
    assert "left as initialised: pooling.p, neck.bn.weight" in caplog.text


def test_weights_of_another_width_are_refused(tmp_path):
    torch.save(build_network("osnet_x0_25").state_dict(), tmp_path / "osnet.pth")
    with pytest.raises(WeightsError, match=r"\(16, 3, 7, 7\) in the file and \(32, 3, 7, 7\).*`backbone`"):
        build_network("osnet_x0_5", weights=str(tmp_path / "osnet.pth"))


def test_files_with_the_keys_of_torchvision_load_into_a_resnet_and_into_mgn(small_mgn, tmp_path, caplog):
    caplog.set_level("INFO")
    torch.manual_seed(1)
    source = timm.create_model("resnet26", num_classes=1000)
    torch.save(source.state_dict(), tmp_path / "resnet.pth")
    network = build_network("resnet26", weights=str(tmp_path / "resnet.pth"))
    assert torch.equal(network.body.layer4[1].conv3.weight, source.layer4[1].conv3.weight)
    assert "fc.weight (1000, 2048)" in caplog.text
    mgn = build_network("mgn", weights=str(tmp_path / "resnet.pth"))
    for branch in mgn.branches:
        assert torch.equal(branch[-1][1].conv3.weight, source.layer4[1].conv3.weight)


def test_the_keys_of_timm_s_resnet50_are_torchvision_s():
    torchvision = pytest.importorskip("torchvision")
    with torch.device("meta"):
        theirs = torchvision.models.resnet50().state_dict()
        ours = timm.create_model("resnet50").state_dict()
    assert {key: value.shape for key, value in theirs.items()} == {key: value.shape for key, value in ours.items()}


def test_mgn_stands_on_resnet50(monkeypatch):
    asked = []

    def body(name, **options):
        asked.append(name)
        return timm.create_model("resnet26", num_classes=0)

    monkeypatch.setattr(timm_build, "create_body", body)
    build_network("mgn")
    assert asked == ["resnet50"]


def test_a_run_s_checkpoint_starts_another_run_with_its_whole_network(tmp_path):
    first = build_network("test_resnet", pooling="gem")
    first(IMAGES)  # moves the running statistics of the neck
    state = {f"network.{key}": value for key, value in first.state_dict().items()}
    torch.save({"state_dict": {**state, "classifiers.0.weight": torch.ones(7, 2)}}, tmp_path / "last.ckpt")
    second = build_network("test_resnet", weights=str(tmp_path / "last.ckpt"), pooling="gem")
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())
    with pytest.raises(WeightsError, match="do not fit the network"):
        build_network("osnet_x0_25", weights=str(tmp_path / "last.ckpt"))
