"""The architectures that are compared, as plain PyTorch modules under cnnlab's names.

Names of parameters are those of cnnlab with dots, so weights are copied by name (`copy_weights`).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def conv_norm(c_in, c_out, size, stride=1, groups=1, epsilon=1e-5):
    """Return a convolution without bias and its norm."""
    conv = nn.Conv2d(c_in, c_out, size, stride, size // 2, groups=groups, bias=False)
    return conv, nn.BatchNorm2d(c_out, epsilon)


class Unit(nn.Module):
    """Residual unit of (channels, window, stride) steps; shortcut "A" or "B"."""

    def __init__(self, c_in, steps, shortcut):
        super().__init__()
        self.steps, self.stride = steps, max(stride for _, _, stride in steps)
        self.missing, self.project = steps[-1][0] - c_in, False
        for i, (c_out, size, stride) in enumerate(steps, 1):
            conv, norm = conv_norm(c_in, c_out, size, stride)
            self.add_module(f"conv{i}", conv)
            self.add_module(f"norm{i}", norm)
            first, c_in = (c_in, c_out) if i == 1 else (first, c_out)
        if shortcut == "B" and (self.missing or self.stride > 1):
            self.project = True
            self.shortcut_conv, self.shortcut_norm = conv_norm(first, c_in, 1, self.stride)

    def forward(self, x):
        y = x
        for i in range(1, len(self.steps) + 1):
            y = getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(y))
            y = y if i == len(self.steps) else F.relu(y)
        if self.project:
            x = self.shortcut_norm(self.shortcut_conv(x))
        elif self.missing or self.stride > 1:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))
        return F.relu(x + y)


class ResNet(nn.Module):
    """ResNet with basic or bottleneck units (stride in the 3x3), ImageNet's stem or CIFAR's."""

    def __init__(self, depths, widths, classes, *, bottleneck, imagenet, shortcut):
        super().__init__()
        c_in = widths[0]
        self.stem, self.imagenet = nn.Module(), imagenet
        size, stride = (7, 2) if imagenet else (3, 1)
        self.stem.conv1, self.stem.norm1 = conv_norm(3, c_in, size, stride)
        self.names = [f"stage{s}" for s in range(1, len(depths) + 1)]
        for s, (name, depth, c) in enumerate(zip(self.names, depths, widths, strict=True)):
            stage = nn.Sequential()
            for n in range(1, depth + 1):
                stride = 2 if s and n == 1 else 1
                steps = [(c, 3, stride), (c, 3, 1)]
                if bottleneck:
                    steps = [(c, 1, 1), (c, 3, stride), (4 * c, 1, 1)]
                stage.add_module(f"block{n}", Unit(c_in, steps, shortcut))
                c_in = steps[-1][0]
            self.add_module(name, stage)
        self.logits = nn.Linear(c_in, classes)

    def forward(self, x):
        x = F.relu(self.stem.norm1(self.stem.conv1(x)))
        x = F.max_pool2d(x, 3, 2, 1) if self.imagenet else x
        for name in self.names:
            x = getattr(self, name)(x)
        return self.logits(x.mean((2, 3)))


def resnet50(classes=1000, widths=(64, 128, 256, 512)):
    """Return the ResNet-50 with strides in the 3x3 convolutions."""
    return ResNet((3, 4, 6, 3), widths, classes, bottleneck=True, imagenet=True, shortcut="B")


def resnet20(classes=10, widths=(16, 32, 64)):
    """Return the ResNet-20 for CIFAR."""
    return ResNet((3, 3, 3), widths, classes, bottleneck=False, imagenet=False, shortcut="A")


def lenet5(classes=10):
    """Return LeNet-5 with ReLU and max-pooling."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 120, 5), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, classes)),
    )


class MobileNet(nn.Module):
    """MobileNet v1."""

    rows = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5)
    rows += ((1024, 2), (1024, 1))

    def __init__(self, classes=1000, width=1.0):
        super().__init__()
        c_in = round(32 * width)
        self.stem, self.stem_norm = conv_norm(3, c_in, 3, 2, epsilon=1e-3)
        for n, (channels, stride) in enumerate(self.rows, 1):
            block, c = nn.Module(), round(channels * width)
            deep = conv_norm(c_in, c_in, 3, stride, c_in, epsilon=1e-3)
            block.depthwise, block.depthwise_norm = deep
            block.pointwise, block.pointwise_norm = conv_norm(c_in, c, 1, epsilon=1e-3)
            self.add_module(f"block{n}", block)
            c_in = c
        self.logits = nn.Linear(c_in, classes)

    def forward(self, x):
        x = F.relu(self.stem_norm(self.stem(x)))
        for n in range(1, len(self.rows) + 1):
            block = getattr(self, f"block{n}")
            x = F.relu(block.depthwise_norm(block.depthwise(x)))
            x = F.relu(block.pointwise_norm(block.pointwise(x)))
        return self.logits(x.mean((2, 3)))


class VGG16(nn.Module):
    """VGG-16 for images of 224x224."""

    def __init__(self, classes=1000, width=1.0):
        super().__init__()
        c_in, hidden = 3, round(4096 * width)
        self.layers = (2, 2, 3, 3, 3)
        channels = [round(c * width) for c in (64, 128, 256, 512, 512)]
        for n, (count, c) in enumerate(zip(self.layers, channels, strict=True), 1):
            for m in range(1, count + 1):
                self.add_module(f"conv{n}_{m}", nn.Conv2d(c_in, c, 3, padding=1))
                c_in = c
        self.fc6, self.fc7 = nn.Linear(c_in * 49, hidden), nn.Linear(hidden, hidden)
        self.logits = nn.Linear(hidden, classes)

    def forward(self, x):
        for n, count in enumerate(self.layers, 1):
            for m in range(1, count + 1):
                x = F.relu(getattr(self, f"conv{n}_{m}")(x))
            x = F.max_pool2d(x, 2)
        # Values in the order of cnnlab's weights.
        x = x.permute(0, 2, 3, 1).flatten(1)
        return self.logits(F.relu(self.fc7(F.relu(self.fc6(x)))))


class Inception(nn.Module):
    """Inception module with norms, or with biases."""

    def __init__(self, c_in, channels, large, norm):
        super().__init__()
        one, r3, three, r5, five, proj = channels
        unit(self, "conv1x1", c_in, one, 1, norm)
        unit(self, "reduce3x3", c_in, r3, 1, norm)
        unit(self, "conv3x3", r3, three, 3, norm)
        unit(self, "reduce5x5", c_in, r5, 1, norm)
        unit(self, "conv5x5", r5, five, large, norm)
        unit(self, "proj", c_in, proj, 1, norm)

    def forward(self, x):
        a = apply(self, "conv1x1", x)
        b = apply(self, "conv3x3", apply(self, "reduce3x3", x))
        c = apply(self, "conv5x5", apply(self, "reduce5x5", x))
        return torch.cat([a, b, c, apply(self, "proj", F.max_pool2d(x, 3, 1, 1))], 1)


def unit(module, name, c_in, c_out, size, norm, stride=1):
    """Add a convolution to a module, and its norm if there is one."""
    module.add_module(name, nn.Conv2d(c_in, c_out, size, stride, size // 2, bias=not norm))
    if norm:
        module.add_module(f"{name}_norm", nn.BatchNorm2d(c_out, 1e-3))


def apply(module, name, x):
    """Apply a convolution of a module, its norm if there is one, and ReLU."""
    x = getattr(module, name)(x)
    norm = getattr(module, f"{name}_norm", None)
    return F.relu(x if norm is None else norm(x))


class GoogLeNet(nn.Module):
    """GoogLeNet without auxiliary classifiers: torchvision's with norms, or the paper's."""

    def __init__(self, classes=1000, width=1.0, *, norm=True):
        # Here, so that nothing of cnnlab is loaded with PyTorch's other networks.
        from cnnlab.models.googlenet import MODULES

        super().__init__()
        self.norm, self.names = norm, tuple(MODULES)
        first, second = round(64 * width), round(192 * width)
        unit(self, "conv1", 3, first, 7, norm, 2)
        unit(self, "conv2_reduce", first, first, 1, norm)
        unit(self, "conv2", first, second, 3, norm)
        c_in = second
        for name, channels in MODULES.items():
            row = [round(c * width) for c in channels]
            self.add_module(name, Inception(c_in, row, 3 if norm else 5, norm))
            c_in = row[0] + row[2] + row[4] + row[5]
        self.logits = nn.Linear(c_in, classes)

    def forward(self, x):
        def normalize(x):
            return x if self.norm else F.local_response_norm(x, 5, 1e-4, 0.75, 1.0)

        x = normalize(F.max_pool2d(apply(self, "conv1", x), 3, 2, ceil_mode=True))
        x = normalize(apply(self, "conv2", apply(self, "conv2_reduce", x)))
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        for name in self.names:
            x = getattr(self, name)(x)
            if name == "inception3b":
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            if name == "inception4e":
                x = F.max_pool2d(x, 2 if self.norm else 3, 2, ceil_mode=True)
        return self.logits(x.mean((2, 3)))


def copy_weights(net, params) -> None:
    """Give a network the parameters of a cnnlab model; those that it lacks are left out."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            *path, leaf = name.split(".")
            own = params
            for key in path:
                own = own[key]
            if leaf == "weight":
                leaf = "scale" if parameter.ndim == 1 else "kernel"
            value = np.asarray(own[leaf])
            if leaf == "kernel":
                value = value.transpose((3, 2, 0, 1) if value.ndim == 4 else (1, 0))
            parameter.copy_(torch.from_numpy(value.copy()))
