"""Models, objectives and evaluators of a user that break their contract, each in one way."""

import dataclasses
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import experiments
from cnnlab.data.argument_types import Probability
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.splits import resolve


class Words(nn.Module):
    """Returns text."""

    def __call__(self, x):
        return "hello"


class Three(nn.Module):
    """Returns three values."""

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(10)(x.reshape(len(x), -1))
        return x, {"logits": x}, x


class Listed(Three):
    """Returns endpoints without names."""

    def __call__(self, x):
        return super().__call__(x)[0], [x]


class Fails(nn.Module):
    """Has a bug."""

    def __call__(self, x):
        raise ZeroDivisionError("own bug")


class NoParameters(nn.Module):
    """Has nothing to train."""

    def __call__(self, x):
        return jnp.ones((len(x), 10)) * x.mean(axis=(1, 2))


class NoCall(nn.Module):
    """Cannot be called."""


class Vector(experiments.Supervised):
    """Returns a loss for each example."""

    def loss(self, *args, **kwargs):
        loss, aux = super().loss(*args, **kwargs)
        return jnp.ones(3) * loss, aux


class NoAux(experiments.Supervised):
    """Returns the loss alone."""

    def loss(self, *args, **kwargs):
        return super().loss(*args, **kwargs)[0]


class PlainMetric(experiments.Supervised):
    """Has an array for a metric."""

    def loss(self, *args, **kwargs):
        loss, aux = super().loss(*args, **kwargs)
        return loss, aux._replace(metrics={"loss": loss})


class OtherState(experiments.Supervised):
    """Adds to the model's state."""

    def loss(self, *args, **kwargs):
        loss, aux = super().loss(*args, **kwargs)
        return loss, aux._replace(model_state={"more": jnp.ones(2)})


class LossFails(experiments.Supervised):
    """Has a bug in the loss."""

    def loss(self, *args, **kwargs):
        raise ZeroDivisionError("own bug")


class FourOutputs(experiments.Supervised):
    """Has a target of four numbers."""

    def loss(self, params, model_state, batch, rng, *, train, axis_name):
        logits, _, _ = self.apply(params, model_state, batch, rng, train=train, axis_name=axis_name)
        return -(jax.nn.log_softmax(logits) * jnp.eye(4)[batch["label"] % 4]).mean(), None


class LateSource:
    """Has a bug that its first example does not show."""

    def __init__(self, split):
        rows = {"train": [32], "validation": [8], "test": [8]}
        self._rows = [i for _, a, b in resolve(split, rows) for i in range(a, b)]
        spec = {"image": ((8, 8, 1), "uint8"), "label": ((), "int32")}
        self.info = Info("late", split, tuple("0123456789"), spec)

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, index):
        if index == 7:
            raise KeyError("own bug")
        return {"image": np.zeros((8, 8, 1), np.uint8), "label": np.int32(index % 10)}


class InitFails(nn.Module):
    """Cannot be made."""

    num_classes: int = 10

    def __post_init__(self):
        super().__post_init__()
        raise ZeroDivisionError("own bug")

    def __call__(self, x):
        return x


@dataclasses.dataclass(frozen=True)
class CheckFails(experiments.Supervised):
    """Has a bug where it looks at the data."""

    def check(self, info):
        raise ZeroDivisionError("own bug")


class NoRows(experiments.Supervised):
    """Predicts one number a batch."""

    def predict(self, output, batch):
        return {"score": output.sum()}


class Bare(experiments.Supervised):
    """Predicts without a name."""

    def predict(self, output, batch):
        return output


class Summary(experiments.Supervised):
    """Returns `returned` of a whole split."""

    returned: Any = None

    def predict(self, output, batch):
        return {"score": output[:, 0]}

    def summarize(self, outputs, source):
        assert len(outputs["score"]) == len(source) == len([source[i] for i in range(len(source))])
        return self.returned


class Array(Summary):
    """Returns an array of numbers."""

    returned = MappingProxyType({"precision": np.ones(3)})


class Text(Summary):
    """Returns a word."""

    returned = MappingProxyType({"precision": "good"})


class Clash(Summary):
    """Returns a name that is taken."""

    returned = MappingProxyType({"accuracy": 0.5})


class Right(Summary):
    """Keeps the contract."""

    returned = MappingProxyType({"precision": 0.5})


class Missing(Summary):
    """Has nothing to measure."""

    returned = MappingProxyType({"precision": float("nan")})


def number(query, *, train, val, seed, similarity):
    return 0.5


def failing(query, *, train, val, seed, similarity):
    raise ZeroDivisionError("own bug")


def limited(query, *, train, val, seed, similarity, share: Probability = 0.5, **more):
    return failing(query, train=train, val=val, seed=seed, similarity=similarity)
