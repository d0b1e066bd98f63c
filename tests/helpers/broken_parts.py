"""Models, objectives and evaluators of a user that break their contract, each in one way."""

from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

import experiments
from cnnlab.data.argument_types import Probability


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
