import logging

import pytest
import torch
import torch.nn.functional as F
import torchvision

from wsreid.errors import WeightsError
from wsreid.models import published
from wsreid.models.published import read_published
from wsreid.models.published_resnet import PublishedResNet, ResNetBody
from wsreid.models.published_weights import FORMATS, HALF, IMAGENET, UNREAD
from wsreid.models.weights import read_state_dict

from . import published_states as states

CASES = {
    "torchreid osnet_x0_25": states.osnet((16, 64, 96, 128)),
    "torchreid osnet_x0_5": states.osnet((32, 128, 192, 256)),
    "torchreid osnet_x0_75": states.osnet((48, 192, 288, 384)),
    "torchreid osnet_x1_0": states.osnet((64, 256, 384, 512)),
    "torchreid osnet_ibn_x1_0": states.osnet((64, 256, 384, 512), ibn=True),
    "torchreid resnet50": states.resnet50() | states.linear("classifier", 7, 2048),
    "torchreid resnet50_fc512": states.resnet50()
    | states.linear("fc.0", 512, 2048)
    | states.norm("fc.1", 512)
    | states.linear("classifier", 7, 512),
    "torchreid resnet50_ibn_a": states.resnet50(ibn=True) | states.linear("classifier", 7, 2048),
    "torchvision resnet50": states.resnet50(fc=True),
    "fast-reid BoT R50": states.fastreid(non_local=False, power=False, ibn=False),
    "fast-reid BoT R50-ibn": states.fastreid(non_local=False, power=False, ibn=True),
    "fast-reid AGW R50": states.fastreid(non_local=True, power=False, ibn=False, old=True),
    "fast-reid AGW R50-ibn": states.fastreid(non_local=True, power=False, ibn=True),
    "fast-reid SBS R50": states.fastreid(non_local=True, power=True, ibn=False),
    "fast-reid SBS R50-ibn": states.fastreid(non_local=True, power=True, ibn=True, old=True),
    "Bag of Tricks R50": states.tricks(ibn=False),
    "Bag of Tricks R50-ibn": states.tricks(ibn=True),
    "TransReID ViT-B/16": states.transreid(768, 129),
    "TransReID ViT-B/16 JPM": states.transreid(768, 211, cameras=6, jigsaw=True),
    "TransReID DeiT-S/16": states.transreid(384, 129, cameras=15),
    "TransReID DeiT-S/16 JPM": states.transreid(384, 311, jigsaw=True),
    "MGN": states.mgn(),
    "SYSU-30k net": states.sysu(),
}
DROPPED = {
    "torchreid": {"classifier.weight", "classifier.bias"},
    "torchvision": {"fc.weight", "fc.bias"},
    "fast-reid": {"heads.weight", "heads.classifier.weight", "pixel_mean", "pixel_std"},
    "Bag": {"classifier.weight", "base.fc.weight", "base.fc.bias"},
    "TransReID": {
        "base.fc.weight",
        "base.fc.bias",
        "classifier.weight",
        *(f"classifier_{i}.weight" for i in (1, 2, 3, 4)),
    },
    "SYSU-30k": {"model.fc.weight", "model.fc.bias"},
}


@pytest.fixture
def weightless(monkeypatch):
    """Networks are made without numbers: only keys and shapes are looked at."""

    def read(path):
        with torch.device("cpu"):
            state = read_state_dict(path)
        return {key: value if key.startswith("pixel_") else value.to("meta") for key, value in state.items()}

    monkeypatch.setattr(published, "read_state_dict", read)
    with torch.device("meta"):
        yield


def read(name, path):
    return read_published(str(saved(CASES[name], path)))


def saved(shapes, path):
    with torch.device("cpu"):
        return states.save(shapes, path / "w.pth")


def test_each_format_has_a_case():
    assert sorted(CASES) == sorted(kind.name for kind in FORMATS)


@pytest.mark.usefixtures("weightless")
@pytest.mark.parametrize("name", CASES)
def test_each_format_is_told_by_its_keys_and_only_classifiers_are_dropped(name, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        found = read(name, tmp_path)
    assert found.format.name == name
    in_file = {key.removeprefix("module.") for key in CASES[name]}
    allowed = DROPPED.get(name.split()[0], {key for key in in_file if key.startswith("fc_id_")})
    assert set(found.dropped) == allowed & in_file
    assert found.dropped
    assert all(key in caplog.text for key in found.dropped)
    assert not found.network.training
    if name.startswith("TransReID"):
        assert found.mean == HALF[0]


@pytest.mark.usefixtures("weightless")
@pytest.mark.parametrize("name", ["torchreid osnet_ibn_x1_0", "fast-reid SBS R50-ibn", "TransReID DeiT-S/16", "MGN"])
def test_a_missing_an_unknown_and_a_misshapen_key_are_named_as_the_file_has_them(name, tmp_path):
    shapes = dict(CASES[name])
    kind = next(kind for kind in FORMATS if kind.name == name)
    plain = [key for key in shapes if key not in kind.marks and not key.endswith("num_batches_tracked")]
    kept = [key for key in plain if key.endswith("running_var") or "blocks.3" in key]
    gone, wrong = kept[1], kept[2]
    del shapes[gone]
    shapes |= {wrong: (*shapes[wrong][:-1], 5), "somewhere.else.weight": (2, 2)}
    saved(shapes, tmp_path)
    with pytest.raises(WeightsError) as error:
        read_published(str(tmp_path / "w.pth"))
    for part in (f"missing: {gone}", "unexpected: somewhere.else.weight", f"{wrong} is (", name, "nothing was loaded"):
        assert part in str(error.value)


@pytest.mark.usefixtures("weightless")
def test_another_depth_or_head_is_refused(tmp_path):
    shapes = CASES["fast-reid BoT R50"] | {"backbone.layer3.6.conv1.weight": (256, 1024, 1, 1)}
    saved(shapes, tmp_path)
    with pytest.raises(WeightsError, match=r"unexpected: backbone\.layer3\.6\.conv1\.weight"):
        read_published(str(tmp_path / "w.pth"))


@pytest.mark.parametrize("kind", UNREAD, ids=lambda kind: kind.name)
def test_what_has_no_body_is_refused_by_name(kind, tmp_path):
    marks = {key: tuple(length or 3 for length in shape) for key, shape in kind.marks.items()}
    states.save(CASES["torchreid resnet50"] | marks, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=f"{kind.name} of {kind.project}, which cannot be read"):
        read_published(str(tmp_path / "w.pth"))


def test_unknown_keys_are_refused_with_the_way_out(tmp_path):
    states.save({"a.weight": (2,)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"no published format.*a\.weight.*python -m wsreid weights"):
        read_published(str(tmp_path / "w.pth"))


@pytest.mark.usefixtures("weightless")
def test_the_position_embedding_tells_size_and_stride(tmp_path, caplog):
    found = read("TransReID DeiT-S/16 JPM", tmp_path)
    assert found.size == (384, 128)
    assert found.network.patch.stride == (12, 12)
    assert not caplog.records
    assert read("TransReID DeiT-S/16", tmp_path).size == (256, 128)
    assert "base.sie_embed" in caplog.text
    assert "15 training cameras" in caplog.text
    saved(states.transreid(384, 197), tmp_path)
    with pytest.raises(WeightsError, match="197 positions"):
        read_published(str(tmp_path / "w.pth"))


@pytest.mark.usefixtures("weightless")
def test_fastreids_own_normalisation_is_taken(tmp_path):
    with torch.device("cpu"):
        state = torch.load(saved(CASES["fast-reid AGW R50"], tmp_path), weights_only=True)
        state["pixel_mean"] = torch.tensor([0.0, 51.0, 255.0]).view(1, 3, 1, 1)
        state["pixel_std"] = torch.tensor([255.0, 51.0, 102.0]).view(1, 3, 1, 1)
    torch.save({"model": state, "iteration": 3}, tmp_path / "w.pth")
    found = read_published(str(tmp_path / "w.pth"))
    assert found.mean == pytest.approx((0.0, 0.2, 1.0))
    assert found.std == pytest.approx((1.0, 0.2, 0.4))
    assert read("fast-reid BoT R50", tmp_path).mean == IMAGENET[0]


def test_the_sysu_networks_logits_and_embedding_are_torchvisions(tmp_path):
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50().eval()
    classifier = torch.nn.Linear(2048, 11)
    state = {f"module.model.{key}": value for key, value in theirs.state_dict().items()}
    state |= {f"module.classifier.classifier.0.{key}": value for key, value in classifier.state_dict().items()}
    torch.save(state, tmp_path / "net_last.pth")
    theirs.fc = torch.nn.Identity()
    images = torch.randn(2, 3, 64, 32)
    official = read_published(str(tmp_path / "net_last.pth"))
    embedding = read_published(str(tmp_path / "net_last.pth"), "embedding")
    with torch.no_grad():
        expected = theirs(images)
        torch.testing.assert_close(embedding.network(images).features, expected)
        torch.testing.assert_close(official.network(images).features, classifier(expected))
    assert official.network.feature_dim == 11
    assert official.flip
    assert not embedding.flip
    assert "classifier.classifier.0.weight" in embedding.dropped
    assert set(official.dropped) == {"model.fc.weight", "model.fc.bias"}


def test_the_stems_of_the_projects_differ_as_theirs_do():
    torch.manual_seed(0)
    images = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        for spec in (ResNetBody(last_stride=1), ResNetBody(last_stride=1, stem_relu=False, ceil_pool=True)):
            network = PublishedResNet(spec).eval()
            body = network.body
            seen = []
            body.layer1.register_forward_hook(lambda _m, inputs, _o, seen=seen: seen.append(inputs[0]))
            network(images)
            stem = body.bn1(body.conv1(images))
            if spec.stem_relu:
                torch.testing.assert_close(seen[0], F.max_pool2d(F.relu(stem), 3, 2, padding=1))
            else:
                torch.testing.assert_close(seen[0], F.max_pool2d(stem, 3, 2, ceil_mode=True))
                assert seen[0].min() < 0


@pytest.mark.usefixtures("weightless")
def test_each_project_has_its_own_resnet(tmp_path):
    found = {name: read(name, tmp_path).network for name in CASES if "R50" in name or " resnet50" in name}
    assert all(n.body.maxpool.ceil_mode == name.startswith("fast-reid") for name, n in found.items())
    assert [name for name, n in found.items() if isinstance(n.body.act1, torch.nn.Identity)] == ["Bag of Tricks R50"]
    two = {"torchreid resnet50", "torchreid resnet50_ibn_a", "torchvision resnet50"}
    assert {name for name, n in found.items() if n.body.layer4[0].conv2.stride == (2, 2)} == two
    pools = {name.split()[1]: type(n.pooling).__name__ for name, n in found.items() if name.startswith("fast-reid")}
    assert pools == {"BoT": "AvgPool", "AGW": "FixedGeM", "SBS": "GeM"}


def test_the_feature_is_behind_the_neck():
    torch.manual_seed(0)
    network = PublishedResNet(ResNetBody(last_stride=2, neck=True)).eval()
    with torch.no_grad():
        network.neck.bn.running_mean.uniform_(0, 5)
        found = network(torch.randn(2, 3, 32, 16))
        torch.testing.assert_close(found.features, network.neck(found.metric[0]))
    assert not torch.allclose(found.features, found.metric[0])
