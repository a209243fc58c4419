"""Checkpoints that other projects publish: how each is told by its keys, what they become, what is left out.

A format is data alone; `wsreid.models.published` reads files by it. The names of layers are facts of the projects'
repositories; no code of theirs is here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from wsreid.models.key_map import KeyMap

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]
IMAGENET: Final = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF: Final = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_ANY: Final = 0  # a length that a mark leaves open
_MIT, _APACHE = "MIT", "Apache-2.0"
_NONE_GIVEN: Final = "none given: ask the authors"


@dataclass(frozen=True)
class PublishedFormat:
    """One kind of published checkpoint.

    Attributes:
        name: Of the format.
        project: The repository, by owner and name.
        body: The network, in words.
        kind: Which builder of `wsreid.models.published` makes the network.
        marks: Keys that tell the format, and their shapes; 0 = any length.
        absent: Keys that such a file never has.
        keys: What becomes of the keys.
        official: The test feature of the project's own script.
        flip: Whether that script sums over the image and its horizontal flip.
        size: Height and width of the training images; None = not told.
        normalisation: Mean and standard deviation of the channels.
        licence: Of the project's code; data sets of the training may bind the weights further.
        classifier: The key of the logits' weight, where `official` is "logits".
    """

    name: str
    project: str
    body: str
    kind: str
    marks: Mapping[str, Shape]
    keys: KeyMap
    licence: str
    absent: tuple[str, ...] = ()
    official: Literal["embedding", "logits"] = "embedding"
    flip: bool = False
    size: tuple[int, int] | None = (256, 128)
    normalisation: tuple[tuple[float, float, float], tuple[float, float, float]] = IMAGENET
    classifier: str | None = None

    def fits(self, shapes: Shapes) -> bool:
        """Whether a file with keys of these shapes is of this format."""
        return _marked(self.marks, self.absent, shapes)


@dataclass(frozen=True)
class UnreadFormat:
    """A kind of published checkpoint that is known and cannot be read.

    Attributes:
        name: Of the format.
        project: The repository.
        marks: As in `PublishedFormat`.
        why: What is missing.
    """

    name: str
    project: str
    marks: Mapping[str, Shape]
    why: str

    def fits(self, shapes: Shapes) -> bool:
        """Whether a file with keys of these shapes is of this format."""
        return _marked(self.marks, (), shapes)


def _marked(marks: Mapping[str, Shape], absent: tuple[str, ...], shapes: Shapes) -> bool:
    return all(key in shapes and _same(shape, shapes[key]) for key, shape in marks.items()) and not any(
        key in shapes for key in absent
    )


def _same(mark: Shape, shape: Shape) -> bool:
    return len(mark) == len(shape) and all(m in (_ANY, s) for m, s in zip(mark, shape, strict=True))


_TORCHREID: Final = "KaiyangZhou/deep-person-reid"
_FASTREID: Final = "JDAI-CV/fast-reid"
_TRICKS: Final = "michuanhaohao/reid-strong-baseline"
_TRANSREID: Final = "damo-cv/TransReID"
_MGN: Final = "seathiefwang/MGN-pytorch"
_SYSU: Final = "wanggrun/SYSU-30k"
_LAST: Final[Shape] = (2048, 512, 1, 1)  # layer4's third 1x1 convolution in a ResNet-50


def _osnet(name: str, stem: int, last: int, *, ibn: bool = False) -> PublishedFormat:
    mark = {"conv1.conv.weight": (stem, 3, 7, 7), "fc.0.weight": (512, last)}
    running = ("conv1.bn.running_mean",)
    return PublishedFormat(
        name=f"torchreid {name}",
        project=_TORCHREID,
        body=f"OSNet x{name.rpartition('_x')[2].replace('_', '.')}{', IBN' if ibn else ''}, 512-d layer",
        kind=name,
        marks=mark if ibn else mark | dict.fromkeys(running, (stem,)),
        absent=running if ibn else ("conv2.0.IN.weight",),
        keys=KeyMap((("", ""),), ("classifier",)),
        licence=_MIT,
    )


def _torchreid_resnet(name: str, body: str, marks: Mapping[str, Shape], absent: tuple[str, ...]) -> PublishedFormat:
    return PublishedFormat(
        name=f"torchreid {name}",
        project=_TORCHREID,
        body=body,
        kind=f"torchreid_{name}",
        marks={"layer4.2.conv3.weight": _LAST, "classifier.weight": (_ANY, _ANY), **marks},
        absent=absent,
        keys=KeyMap((("", "body."), ("fc.", "fc.")), ("classifier",)),
        licence=_MIT,
    )


_FASTREID_KEYS: Final = KeyMap(
    (
        ("backbone.", "body."),
        ("backbone.NL_2.", "non_local.2."),
        ("backbone.NL_3.", "non_local.3."),
        ("heads.pool_layer.", "pooling."),
        ("heads.bottleneck.0.", "neck.bn."),
        ("heads.bnneck.", "neck.bn."),  # of versions before 1.0
    ),
    ("heads.weight", "heads.classifier", "heads.cls_layer", "pixel_mean", "pixel_std"),
)
_NON_LOCAL: Final = "backbone.NL_2.0.g.weight"
_POWER: Final = "heads.pool_layer.p"
_IBN: Final = "layer1.0.bn1.IN.weight"


def _fastreid(name: str, words: str, *, ibn: bool) -> PublishedFormat:
    marks: dict[str, Shape] = {"backbone.layer4.2.conv3.weight": _LAST}
    absent = []
    for key, shape, there in (
        (_NON_LOCAL, (_ANY, 512, 1, 1), name != "BoT"),
        (_POWER, (1,), name == "SBS"),
        (f"backbone.{_IBN}", (32,), ibn),
    ):
        marks |= {key: shape} if there else {}
        absent += [] if there else [key]
    suffix = "-ibn" if ibn else ""
    return PublishedFormat(
        name=f"fast-reid {name} R50{suffix}",
        project=_FASTREID,
        body=f"ResNet-50{', IBN-a' if ibn else ''}, {words}, BNNeck",
        kind=f"fastreid_{name.lower()}{'_ibn' if ibn else ''}",
        marks=marks,
        absent=tuple(absent),
        keys=_FASTREID_KEYS,
        licence=_APACHE,
        size=(384, 128) if name == "SBS" else (256, 128),
    )


def _tricks(*, ibn: bool) -> PublishedFormat:
    last = {"base.layer4.2.conv3.weight": _LAST, "bottleneck.weight": (2048,)}
    key = f"base.{_IBN}"
    return PublishedFormat(
        name=f"Bag of Tricks R50{'-ibn' if ibn else ''}",
        project=_TRICKS,
        body="ResNet-50, IBN-a, BNNeck" if ibn else "ResNet-50 without ReLU in the stem, BNNeck",
        kind="tricks_ibn" if ibn else "tricks",
        marks=last | {key: (32,)} if ibn else last,
        absent=() if ibn else (key,),
        keys=KeyMap((("base.", "body."), ("bottleneck.", "neck.bn.")), ("classifier", "base.fc")),
        licence=_MIT,
    )


_TRANSREID_KEYS: Final = KeyMap(
    (
        ("base.", ""),
        ("base.patch_embed.proj.", "patch."),
        ("b1.", "branches.0."),
        ("b2.", "branches.1."),
        ("bottleneck.", "necks.0.bn."),
        *((f"bottleneck_{part}.", f"necks.{part}.bn.") for part in range(1, 5)),
    ),
    ("base.fc", "classifier", *(f"classifier_{part}" for part in range(1, 5))),
)


def _transreid(name: str, width: int, *, jigsaw: bool) -> PublishedFormat:
    marks: dict[str, Shape] = {
        "base.pos_embed": (1, _ANY, width),
        "base.blocks.11.attn.qkv.bias": (3 * width,),
        "base.patch_embed.proj.weight": (width, 3, 16, 16),
    }
    branch = "b2.0.norm1.weight"
    return PublishedFormat(
        name=f"TransReID {name}{' JPM' if jigsaw else ''}",
        project=_TRANSREID,
        body=f"{name}, stride 16 or 12{', jigsaw branch' if jigsaw else ''}; cameras' mean embedding",
        kind=f"transreid_{width}",
        marks=marks | {branch: (width,)} if jigsaw else marks,
        absent=() if jigsaw else (branch,),
        keys=_TRANSREID_KEYS,
        licence=_MIT,
        size=None,  # told by the position embedding
        normalisation=HALF,
    )


_MGN_KEYS: Final = KeyMap(
    (
        ("backone.0.", "stem.0."),  # as the project spells it
        ("backone.1.", "stem.1."),
        ("backone.4.", "layer1."),
        ("backone.5.", "trunk.0."),
        ("backone.6.", "trunk.1."),
        *((f"p{branch + 1}.0.", f"branches.{branch}.") for branch in range(3)),
        *((f"p{branch + 1}.1.", f"branches.{branch}.5.") for branch in range(3)),
        *((f"reduction_{head}.", f"reductions.{head}.") for head in range(8)),
    ),
    (
        *(f"fc_id_2048_{head}" for head in range(3)),
        *(f"fc_id_256_{head}" for head in ("1_0", "1_1", "2_0", "2_1", "2_2")),
    ),
)

FORMATS: Final = (
    _osnet("osnet_x0_25", 16, 128),
    _osnet("osnet_x0_5", 32, 256),
    _osnet("osnet_x0_75", 48, 384),
    _osnet("osnet_x1_0", 64, 512),
    _osnet("osnet_ibn_x1_0", 64, 512, ibn=True),
    _torchreid_resnet("resnet50", "ResNet-50, last stride 2", {}, ("fc.0.weight", _IBN, "fc_fusion.0.weight")),
    _torchreid_resnet("resnet50_fc512", "ResNet-50, last stride 1, 512-d layer", {"fc.0.weight": (512, 2048)}, (_IBN,)),
    _torchreid_resnet("resnet50_ibn_a", "ResNet-50, IBN-a, last stride 2", {_IBN: (32,)}, ("fc.0.weight",)),
    PublishedFormat(
        name="torchvision resnet50",
        project="pytorch/vision",
        body="ResNet-50 of ImageNet, last stride 2",
        kind="torchreid_resnet50",
        marks={"layer4.2.conv3.weight": _LAST, "fc.weight": (1000, 2048)},
        absent=("classifier.weight",),
        keys=KeyMap((("", "body."),), ("fc",)),
        licence="BSD-3-Clause",
        size=None,
    ),
    *(
        _fastreid(name, words, ibn=ibn)
        for name, words in (
            ("BoT", "average"),
            ("AGW", "non-local blocks, GeM of power 3"),
            ("SBS", "non-local blocks, GeM of learnt power"),
        )
        for ibn in (False, True)
    ),
    _tricks(ibn=False),
    _tricks(ibn=True),
    *(_transreid(name, dim, jigsaw=j) for name, dim in (("ViT-B/16", 768), ("DeiT-S/16", 384)) for j in (False, True)),
    PublishedFormat(
        name="MGN",
        project=_MGN,
        body="MGN with average pooling (also the SYSU-30k project's full model)",
        kind="mgn",
        marks={"backone.0.weight": (64, 3, 7, 7), "reduction_7.0.weight": (256, 2048, 1, 1)},
        keys=_MGN_KEYS,
        licence=_NONE_GIVEN,
        flip=True,
        size=(384, 128),
    ),
    PublishedFormat(
        name="SYSU-30k net",
        project=_SYSU,
        body="torchvision's ResNet-50, 28,310-way classifier",
        kind="sysu",
        marks={"model.layer4.2.conv3.weight": _LAST, "classifier.classifier.0.weight": (_ANY, 2048)},
        keys=KeyMap(
            (("model.", "body."), ("classifier.classifier.0.", "classifier.")),
            ("model.fc", "classifier.classifier.0"),
        ),
        licence=_NONE_GIVEN,
        official="logits",
        flip=True,
        classifier="classifier.classifier.0.weight",
    ),
)

UNREAD: Final = (
    UnreadFormat("torchreid osnet_ain", _TORCHREID, {"conv2.0.conv2.0.layers.0.conv1.weight": (_ANY,) * 4}, "no body"),
    UnreadFormat("torchreid mlfn", _TORCHREID, {"feature.0.fm_conv1.weight": (_ANY,) * 4}, "no body"),
    UnreadFormat("torchreid hacnn", _TORCHREID, {"ha1.hard_attn.fc.weight": (_ANY, _ANY)}, "no body"),
    UnreadFormat("torchreid resnet50mid", _TORCHREID, {"fc_fusion.0.weight": (_ANY, _ANY)}, "no body"),
    UnreadFormat("fast-reid OSNet", _FASTREID, {"backbone.conv1.conv.weight": (_ANY,) * 4}, "no key map"),
    UnreadFormat("SYSU-30k PCB", _SYSU, {"classifier0.classifier.0.weight": (_ANY, _ANY)}, "no body of six parts"),
    UnreadFormat(
        "SYSU-30k DenseNet", _SYSU, {"model.features.conv0.weight": (_ANY,) * 4}, "no key map of DenseNet-121"
    ),
)
