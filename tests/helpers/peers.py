"""torchvision's and timm's models where torchvision's compiled operators are not installed.

torchvision's import describes its own operators to PyTorch, which has to know them by then; its
classification models use none, so declarations without an implementation are enough. Its operators
of boxes and regions then run in Python.
"""

import functools
import sys

OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@functools.cache
def declare():
    """Declare torchvision's operators, and return the library, which has to stay alive."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in OPERATORS:
        name = operator.partition("(")[0]
        if not hasattr(torch.ops.torchvision, name):
            library.define(operator)
    return library


def torchvision_model(name):
    """Return a model of torchvision without trained weights."""
    declare()
    from torchvision import models

    # These two otherwise draw their weights, slowly.
    quick = {"init_weights": False} if name.startswith(("vgg", "googlenet")) else {}
    return models.get_model(name, weights=None, **quick)


@functools.cache
def torchvision_ops():
    """Return `torchvision.ops`; without the compiled ones NMS is a loop, RoIAlign its Python."""
    library = declare()
    import torchvision
    from torchvision import extension

    if not extension._has_ops():
        library.impl("nms", _greedy_nms, "CPU")
        sys.modules["torchvision.ops.boxes"]._assert_has_ops = lambda: None
        regions = sys.modules["torchvision.ops.roi_align"]
        # As it stands, for it would be compiled.
        regions._roi_align = regions._roi_align.__wrapped__
    return torchvision.ops


def _greedy_nms(boxes, scores, threshold):
    """Keep each box, by score, that no box kept before overlaps by more than the threshold."""
    import torch
    from torchvision.ops import box_iou

    left = torch.sort(scores, descending=True, stable=True).indices
    kept = []
    while len(left):
        kept.append(left[0])
        left = left[1:][box_iou(boxes[left[:1]], boxes[left[1:]])[0] <= threshold]
    return torch.stack(kept) if kept else left


def timm_model(name):
    """Return a model of timm without trained weights."""
    declare()
    import timm

    return timm.create_model(name, pretrained=False)


def fastai_xresnet(depths, expansion, classes=1000):
    """Return the XResNet of fastai 2, with its names of layers."""
    from torch import nn

    def layer(inputs, outputs, size=3, stride=1, activate=True):
        parts = [
            nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        return nn.Sequential(*parts, *[nn.ReLU()] * activate)

    class Block(nn.Module):
        def __init__(self, inputs, inner, stride):
            super().__init__()
            outputs = inner * expansion
            if expansion == 1:
                path = [layer(inputs, inner, 3, stride), layer(inner, outputs, activate=False)]
            else:
                path = [layer(inputs, inner, 1), layer(inner, inner, 3, stride)]
                path.append(layer(inner, outputs, 1, activate=False))
            self.convpath = nn.Sequential(*path)
            shortcut = [nn.AvgPool2d(2, ceil_mode=True)] if stride > 1 else []
            if inputs != outputs:
                shortcut.append(layer(inputs, outputs, 1, activate=False))
            self.idpath = nn.Sequential(*shortcut)
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(self.convpath(x) + self.idpath(x))

    stages, inputs = [], 64
    for i, (depth, inner) in enumerate(zip(depths, (64, 128, 256, 512), strict=True)):
        blocks = []
        for j in range(depth):
            blocks.append(Block(inputs, inner, 2 if i and not j else 1))
            inputs = inner * expansion
        stages.append(nn.Sequential(*blocks))
    return nn.Sequential(
        layer(3, 32, stride=2),
        layer(32, 32),
        layer(32, 64),
        nn.MaxPool2d(3, 2, 1),
        *stages,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.0),
        nn.Linear(inputs, classes),
    )
