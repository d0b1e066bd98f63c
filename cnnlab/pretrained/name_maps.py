"""How other libraries name the layers of our models.

A layout takes the paths of a model's modules that hold parameters, such as "stage1/block1/conv1",
and returns for each the name of its layer there, such as "layer1.0.conv1"; a path it does not know
is left out. One function per family and library; layers of PyTorch's `Sequential` go by their
place in it, which counts activations and pools too.
"""

import re
from collections.abc import Callable, Iterable

Layout = Callable[[Iterable[str]], dict[str, str]]

# Within the modules of torchvision's GoogLeNet.
BRANCHES = {
    "conv1x1": "branch1",
    "reduce3x3": "branch2.0",
    "conv3x3": "branch2.1",
    "reduce5x5": "branch3.0",
    "conv5x5": "branch3.1",
    "proj": "branch4.1",
}
# Blocks of MobileNet v1 with the same number of channels, which timm has as a stage.
MOBILENET_STAGES = (1, 2, 2, 6, 2)


def own(modules: Iterable[str]) -> dict[str, str]:
    """Our own names, for models that no other library has."""
    return {path: path for path in modules}


def torchvision_alexnet(modules: Iterable[str]) -> dict[str, str]:
    """`features.0`, ..., `classifier.6`."""
    places = ("features.0", "features.3", "features.6", "features.8", "features.10")
    names = {f"conv{n}": place for n, place in enumerate(places, 1)}
    return _known(modules, names | _dense("classifier.1", "classifier.4", "classifier.6"))


def torchvision_vgg(modules: Iterable[str]) -> dict[str, str]:
    """`features.<place>`: of convolutions, norms, ReLUs and pools; `classifier.0`, 3, 6."""
    modules = set(modules)
    convolutions = sorted(path for path in modules if re.fullmatch(r"conv\d_\d", path))
    names = _dense("classifier.0", "classifier.3", "classifier.6")
    place = 0
    for path, following in zip(convolutions, [*convolutions[1:], ""], strict=False):
        names[path], names[f"{path}_norm"] = f"features.{place}", f"features.{place + 1}"
        # Itself, its norm, its ReLU; and a pool at the end of a stage.
        place += 2 + (f"{path}_norm" in modules) + (following[:5] != path[:5])
    return _known(modules, names)


def torchvision_googlenet(modules: Iterable[str]) -> dict[str, str]:
    """`conv2.conv`, `inception3a.branch2.1.bn`, `aux1.fc2`, `fc`."""
    names = {"logits": "fc"}

    def unit(path: str, there: str) -> None:
        names[path], names[f"{path}_norm"] = f"{there}.conv", f"{there}.bn"

    unit("conv1", "conv1")
    unit("conv2_reduce", "conv2")
    unit("conv2", "conv3")
    modules = set(modules)
    for module in {path.partition("/")[0] for path in modules}:
        if module.startswith("inception"):
            for branch, there in BRANCHES.items():
                unit(f"{module}/{branch}", f"{module}.{there}")
        if module.startswith("auxiliary"):
            there = module.replace("auxiliary", "aux")
            unit(f"{module}/conv", f"{there}.conv")
            names[f"{module}/fc"], names[f"{module}/logits"] = f"{there}.fc1", f"{there}.fc2"
    return _known(modules, names)


def torchvision_resnet(modules: Iterable[str]) -> dict[str, str]:
    """`conv1`, `bn1`, `layer1.0.conv1`, `layer2.0.downsample.0`, `fc`; timm's are the same."""
    names = {"stem/conv1": "conv1", "stem/norm1": "bn1", "logits": "fc"}
    return _residual(modules, names, ("downsample.0", "downsample.1"))


def akamaster_resnet(modules: Iterable[str]) -> dict[str, str]:
    """As torchvision's, but `linear`."""
    names = {"stem/conv1": "conv1", "stem/norm1": "bn1", "logits": "linear"}
    return _residual(modules, names, ("shortcut.0", "shortcut.1"))


def timm_resnet_d(modules: Iterable[str]) -> dict[str, str]:
    """As torchvision's, but `conv1.0` to `conv1.6` in the stem, `downsample.1` after a pool."""
    names = {
        "stem/conv1": "conv1.0",
        "stem/norm1": "conv1.1",
        "stem/conv2": "conv1.3",
        "stem/norm2": "conv1.4",
        "stem/conv3": "conv1.6",
        "stem/norm3": "bn1",
        "logits": "fc",
    }
    return _residual(modules, names, ("downsample.1", "downsample.2"))


def fastai_xresnet(modules: Iterable[str]) -> dict[str, str]:
    """`0.0`, `4.0.convpath.0.0`, `4.0.idpath.0.0`, `11`; a pool comes first where there is one."""
    modules = set(modules)
    names = {"logits": "11"}
    for path in modules:
        if stem := re.fullmatch(r"stem/(conv|norm)(\d)", path):
            names[path] = f"{int(stem[2]) - 1}.{int(stem[1] == 'norm')}"
        if unit := re.fullmatch(r"stage(\d)/block(\d+)/(shortcut_)?(conv|norm)(\d*)", path):
            stage, block = int(unit[1]), int(unit[2])
            branch = f"idpath.{int(stage > 1)}" if unit[3] else f"convpath.{int(unit[5]) - 1}"
            names[path] = f"{stage + 3}.{block - 1}.{branch}.{int(unit[4] == 'norm')}"
    return _known(modules, names)


def timm_mobilenet(modules: Iterable[str]) -> dict[str, str]:
    """`conv_stem`, `bn1`, `blocks.1.0.conv_dw`, `blocks.1.0.bn1`, `classifier`."""
    names = {"stem": "conv_stem", "stem_norm": "bn1", "logits": "classifier"}
    places = [(stage, n) for stage, count in enumerate(MOBILENET_STAGES) for n in range(count)]
    for block, (stage, n) in enumerate(places, 1):
        for path, there in (
            ("depthwise", "conv_dw"),
            ("depthwise_norm", "bn1"),
            ("pointwise", "conv_pw"),
            ("pointwise_norm", "bn2"),
        ):
            names[f"block{block}/{path}"] = f"blocks.{stage}.{n}.{there}"
    return _known(modules, names)


def mlperf_tiny_mobilenet(modules: Iterable[str]) -> dict[str, str]:
    """`conv2d`, `batch_normalization`, `depthwise_conv2d`, ..., `dense`, as Keras numbers them."""
    names = {"stem": "conv2d", "stem_norm": "batch_normalization", "logits": "dense"}
    for block in range(1, sum(MOBILENET_STAGES) + 1):
        names[f"block{block}/depthwise"] = _numbered("depthwise_conv2d", block - 1)
        names[f"block{block}/pointwise"] = _numbered("conv2d", block)
        names[f"block{block}/depthwise_norm"] = _numbered("batch_normalization", 2 * block - 1)
        names[f"block{block}/pointwise_norm"] = _numbered("batch_normalization", 2 * block)
    return _known(modules, names)


def mlperf_tiny_resnet(modules: Iterable[str]) -> dict[str, str]:
    """`conv2d`, `batch_normalization`, ..., `dense`; a shortcut's convolution comes last."""
    names = {"stem/conv1": "conv2d", "stem/norm1": "batch_normalization", "logits": "dense"}
    convs = ["stage1/block1/conv1", "stage1/block1/conv2"]
    for stage in ("stage2", "stage3"):
        convs += [f"{stage}/block1/{conv}" for conv in ("conv1", "conv2", "shortcut_conv")]
    names |= {path: _numbered("conv2d", n) for n, path in enumerate(convs, 1)}
    norms = [path.replace("conv", "norm") for path in convs if "shortcut" not in path]
    names |= {path: _numbered("batch_normalization", n) for n, path in enumerate(norms, 1)}
    return _known(modules, names)


def _numbered(kind: str, n: int) -> str:
    return f"{kind}_{n}" if n else kind


def _dense(*names: str) -> dict[str, str]:
    return dict(zip(("fc6", "fc7", "logits"), names, strict=True))


def _residual(
    modules: Iterable[str], names: dict[str, str], shortcut: tuple[str, str]
) -> dict[str, str]:
    names = dict(names)
    for path in modules:
        if unit := re.fullmatch(r"stage(\d)/block(\d+)/(shortcut_)?(conv|norm)(\d*)", path):
            kind = int(unit[4] == "norm")
            layer = shortcut[kind] if unit[3] else f"{('conv', 'bn')[kind]}{unit[5]}"
            names[path] = f"layer{unit[1]}.{int(unit[2]) - 1}.{layer}"
    return _known(modules, names)


def _known(modules: Iterable[str], names: dict[str, str]) -> dict[str, str]:
    return {path: names[path] for path in modules if path in names}
