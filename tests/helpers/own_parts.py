"""What a person may bring along: models of their own, by `own_parts:Name`."""

from collections.abc import Callable

import flax.linen as nn
from flax.core import freeze


class Plain(nn.Module):
    """Returns one array, and knows neither training nor classes."""

    outputs: int = 10
    act: Callable = nn.relu

    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.outputs, name="out")(self.act(x.reshape(len(x), -1)))


class Deterministic(nn.Module):
    """Is called as modules of Flax itself are."""

    @nn.compact
    def __call__(self, x, *, deterministic=True):
        x = nn.Dense(10, name="out")(x.reshape(len(x), -1))
        return nn.Dropout(0.5, deterministic=deterministic)(x)


class Training(nn.Module):
    """Has another word for it."""

    @nn.compact
    def __call__(self, x, training=False):
        return Deterministic(name="inner")(x, deterministic=not training)


class Detector(nn.Module):
    """A backbone, and a head on its features."""

    head_names = ("boxes",)

    backbone: nn.Module = freeze({"name": "mlp", "hidden": (6,), "norm": "batch"})
    boxes: int = 10

    @nn.compact
    def __call__(self, x, train=False):
        features, endpoints = self.backbone(x, train=train)
        boxes = nn.Dense(self.boxes, name="boxes")(features)
        return boxes, {**endpoints, "boxes": boxes}


class Bare(nn.Module):
    """Needs to be given a backbone."""

    backbone: nn.Module

    def __call__(self, x, train=False):
        return self.backbone(x, train=train)


def function():
    """Not a model."""
