"""State dicts with the key names and shapes of published checkpoints; files of them are a few kilobytes.

ResNet-50's names come from torchvision itself, the others are written down from the projects' repositories.
"""

import torch
import torchvision

CLASSES = 7
NORM = ("weight", "bias", "running_mean", "running_var")


def norm(name, width):
    return {f"{name}.{part}": (width,) for part in NORM} | {f"{name}.num_batches_tracked": ()}


def linear(name, out, width, *, bias=True):
    return {f"{name}.weight": (out, width)} | ({f"{name}.bias": (out,)} if bias else {})


def resnet50(prefix="", *, ibn=False, fc=False):
    with torch.device("meta"):
        state = torchvision.models.resnet50().state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items() if fc or not key.startswith("fc.")}
    if ibn:
        for key in [k for k in shapes if k.startswith(("layer1", "layer2", "layer3")) and k.endswith("bn1.weight")]:
            name = key.removesuffix(".weight")
            half = shapes[key][0] // 2
            for part in (*NORM, "num_batches_tracked"):
                del shapes[f"{name}.{part}"]
            shapes |= {f"{name}.IN.weight": (half,), f"{name}.IN.bias": (half,)} | norm(f"{name}.BN", half)
    return {prefix + key: shape for key, shape in shapes.items()}


def conv_norm(name, out, width, kernel=1):
    return {f"{name}.conv.weight": (out, width, kernel, kernel)} | norm(f"{name}.bn", out)


def osnet(widths, *, ibn=False):
    stem, *stages = widths
    shapes = conv_norm("conv1", stem, 3, 7) | conv_norm("conv5", stages[-1], stages[-1])
    before = stem
    for number, width in enumerate(stages, 2):
        for block in (0, 1):
            name, mid, first = f"conv{number}.{block}", width // 4, before if block == 0 else width
            shapes |= conv_norm(f"{name}.conv1", mid, first) | conv_norm(f"{name}.conv3", width, mid)
            if block == 0:
                shapes |= conv_norm(f"{name}.downsample", width, first)
            lights = ["conv2a", *(f"conv2{s}.{i}" for s, n in (("b", 2), ("c", 3), ("d", 4)) for i in range(n))]
            for light in lights:
                shapes |= {f"{name}.{light}.conv1.weight": (mid, mid, 1, 1)}
                shapes |= {f"{name}.{light}.conv2.weight": (mid, 1, 3, 3)} | norm(f"{name}.{light}.bn", mid)
            for layer, (out, inner) in (("fc1", (mid // 16, mid)), ("fc2", (mid, mid // 16))):
                shapes |= {f"{name}.gate.{layer}.weight": (out, inner, 1, 1), f"{name}.gate.{layer}.bias": (out,)}
            if ibn and number == 2:
                shapes |= {f"{name}.IN.weight": (width,), f"{name}.IN.bias": (width,)}
        if number < 4:
            shapes |= conv_norm(f"conv{number}.2.0", width, width)
        before = width
    if ibn:
        for part in ("running_mean", "running_var", "num_batches_tracked"):
            del shapes[f"conv1.bn.{part}"]
    return shapes | linear("fc.0", 512, stages[-1]) | norm("fc.1", 512) | linear("classifier", CLASSES, 512)


def fastreid(*, non_local, power, ibn, old=False):
    shapes = resnet50("backbone.", ibn=ibn)
    if non_local:
        for stage, count, width in (("2", 2, 512), ("3", 3, 1024)):
            for name in (f"backbone.NL_{stage}.{i}" for i in range(count)):
                for layer in ("g", "theta", "phi"):
                    shapes |= {f"{name}.{layer}.weight": (1, width, 1, 1), f"{name}.{layer}.bias": (1,)}
                shapes |= {f"{name}.W.0.weight": (width, 1, 1, 1), f"{name}.W.0.bias": (width,)}
                shapes |= norm(f"{name}.W.1", width)
    shapes |= {"heads.pool_layer.p": (1,)} if power else {}
    if old:
        head = norm("heads.bnneck", 2048) | {"heads.classifier.weight": (CLASSES, 2048)}
        return shapes | head | {"pixel_mean": (1, 3, 1, 1), "pixel_std": (1, 3, 1, 1)}
    return shapes | norm("heads.bottleneck.0", 2048) | {"heads.weight": (CLASSES, 2048)}


def tricks(*, ibn):
    head = norm("bottleneck", 2048) | linear("classifier", CLASSES, 2048, bias=False)
    return resnet50("base.", ibn=ibn, fc=ibn) | head


def block(name, dim):
    shapes = {}
    for layer, shape in (("attn.qkv", (3 * dim, dim)), ("attn.proj", (dim, dim))):
        shapes |= linear(f"{name}.{layer}", *shape)
    for layer, shape in (("mlp.fc1", (4 * dim, dim)), ("mlp.fc2", (dim, 4 * dim))):
        shapes |= linear(f"{name}.{layer}", *shape)
    return shapes | {f"{name}.norm{i}.{part}": (dim,) for i in (1, 2) for part in ("weight", "bias")}


def transreid(dim, tokens, *, cameras=0, jigsaw=False):
    shapes = {"base.cls_token": (1, 1, dim), "base.pos_embed": (1, tokens, dim)}
    shapes |= {"base.sie_embed": (cameras, 1, dim)} if cameras else {}
    shapes |= {"base.patch_embed.proj.weight": (dim, 3, 16, 16), "base.patch_embed.proj.bias": (dim,)}
    for index in range(12):
        shapes |= block(f"base.blocks.{index}", dim)
    shapes |= {"base.norm.weight": (dim,), "base.norm.bias": (dim,)} | linear("base.fc", 1000, dim)
    names = [""]
    if jigsaw:
        names += [f"_{part}" for part in range(1, 5)]
        for branch in ("b1", "b2"):
            shapes |= block(f"{branch}.0", dim) | {f"{branch}.1.weight": (dim,), f"{branch}.1.bias": (dim,)}
    for name in names:
        shapes |= norm(f"bottleneck{name}", dim) | linear(f"classifier{name}", CLASSES, dim, bias=False)
    return shapes


def mgn():
    plain = resnet50()
    shapes = {}
    places = {"conv1.": "backone.0.", "bn1.": "backone.1.", "layer1.": "backone.4.", "layer2.": "backone.5."}
    for key, shape in plain.items():
        stage, _, rest = key.partition(".")
        if f"{stage}." in places:
            shapes[places[f"{stage}."] + rest] = shape
        elif stage == "layer3" and rest.startswith("0."):
            shapes[f"backone.6.{rest.removeprefix('0.')}"] = shape
        for branch in ("p1", "p2", "p3"):
            if stage == "layer4":
                shapes[f"{branch}.1.{rest}"] = shape
            elif stage == "layer3" and not rest.startswith("0."):
                index, _, rest_of_block = rest.partition(".")
                shapes[f"{branch}.0.{int(index) - 1}.{rest_of_block}"] = shape
    for head in range(8):
        shapes |= {f"reduction_{head}.0.weight": (256, 2048, 1, 1)} | norm(f"reduction_{head}.1", 256)
    heads = ("2048_0", "2048_1", "2048_2", "256_1_0", "256_1_1", "256_2_0", "256_2_1", "256_2_2")
    for head in heads:
        shapes |= linear(f"fc_id_{head}", CLASSES, 256)
    return shapes


def sysu(classes=28_310):
    shapes = resnet50("model.", fc=True) | linear("classifier.classifier.0", classes, 2048)
    return {f"module.{key}": shape for key, shape in shapes.items()}


def save(shapes, path):
    """Writes a file whose tensors have these shapes; each is one number, seen many times, so the file is small."""
    state = {
        key: torch.zeros((), dtype=torch.long) if shape == () else torch.full((1,), 0.5).expand(shape)
        for key, shape in shapes.items()
    }
    torch.save(state, path)
    return path
