"""ResNet for images of 32x32: 6 n + 2 layers in three stages, with parameter-free shortcuts.

He et al. 2015, section 4.2: `cnnlab.models.resnet` with the 3x3 stem, two-layer units, n a stage,
and shortcuts of option A ("in all cases", section 4.2), with zeros at the end of the channels
unless `shortcut_padding="both"` (`cnnlab.models.residual`). Shapes for 32x32x3:

    stem 32x32x16 - stage1 32x32x16 - stage2 16x16x32 - stage3 8x8x64 - features 64 - logits 10

Parameters: 20 269,722; 32 464,154; 44 658,586; 56 853,018; 110 1,727,962; 1202 19,421,274, and the
same without shortcuts. Multiply-adds: 40.6, 68.9, 97.2, 125.5 and 252.9 million up to 110.

`resnet8_mlperf_tiny` is the ResNet of MLPerf Tiny (Banbury et al. 2021) as its reference code has
it: one unit a stage, 1x1 convolutions without norm where shapes differ, and Keras' defaults (biases
before norms, "same" padding, epsilon 1e-3). Parameters: 78,186; multiply-adds: 12.5 million.
"""

from cnnlab.models.architecture import Architecture
from cnnlab.models.resnet import ResNet

PAPER = "He et al. 2015, section 4.2"
# What convolutions and norms are in Keras unless a person says otherwise.
KERAS = {"conv_bias": True, "padding": "SAME", "norm_epsilon": 1e-3}


def cifar(n: int) -> dict:
    """Return the arguments that make a `ResNet` or `ResNetV2` the one of 6 n + 2 layers."""
    return {
        "depths": (n, n, n),
        "widths": (16, 32, 64),
        "block": "basic",
        "num_classes": 10,
        "stem": "cifar",
        "shortcut": "A",
    }


def _resnet(layers, top1, protocol="CIFAR-10 test"):
    n = (layers - 2) // 6
    return Architecture(ResNet, PAPER, (32, 32, 3), cifar(n), top1, None, protocol)


def _plain(layers):
    arguments = {**cifar((layers - 2) // 6), "residual": False}
    return Architecture(ResNet, PAPER, (32, 32, 3), arguments)


MODELS = {
    "resnet20": _resnet(20, 91.25),
    "resnet32": _resnet(32, 92.49),
    "resnet44": _resnet(44, 92.83),
    "resnet56": _resnet(56, 93.03),
    "resnet110": _resnet(110, 93.57, "CIFAR-10 test, best of 5 runs"),
    "resnet1202": _resnet(1202, 92.07),
    "resnet8_mlperf_tiny": Architecture(
        ResNet,
        "Banbury et al. 2021",
        (32, 32, 3),
        {**cifar(1), "shortcut": "B", "shortcut_norm": False, **KERAS},
    ),
    "plain20": _plain(20),
    "plain32": _plain(32),
    "plain44": _plain(44),
    "plain56": _plain(56),
}
