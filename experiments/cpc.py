"""Contrastive predictive coding (CPC): predict latents ahead and classify them among negatives.

van den Oord, Li & Vinyals 2018 (v2 2019), section 2.3. A model gives latents z and contexts c on a
grid [b, rows, cols, ...] (rows are time for sound). From the context of row i the latent k rows
below is predicted, with one matrix a step:

    score(z, c) = z^T W_k c        loss = -log exp score(z_i+k) / sum over N candidates of exp score

(InfoNCE, equation 4), averaged over places, steps and directions. The metric `bound`, log N - loss
in nats, is a lower bound on the mutual information of x_i+k and c_i (equation 5). It is at most
log N, where `negatives` and the batch size determine N.

    all      every latent of the global batch, N = b rows cols
    image    the latents of the same example, N = rows cols
    batch    the latents at the target's place in all examples, N = b

The parameters are `prediction`/<direction>/kernel [steps - skip, d, e]. Their first values, of
standard deviation 1 / sqrt(d e), give scores of the size of one latent times one context: the loss
starts near log N. Deviation: Henaff et al. 2019 (appendix) factor W_k into two matrices of 64 rows
and scale scores by 0.1; here it is one matrix, as in the first paper.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from cnnlab.errors import UserError
from cnnlab.losses.cross_replica import first_row, gather
from cnnlab.losses.info_nce import info_nce
from cnnlab.losses.reduce import masked_mean
from cnnlab.metrics.metric import Mean
from cnnlab.metrics.spread import embedding_std
from cnnlab.models.cpc import turn
from cnnlab.utils.registry import pick

from .base import Aux, Experiment

# Score of a candidate that is padding: its exponential is 0.
NEVER = -1e9

Queries = Float[Array, "b p d"]
Scored = tuple[Float[Array, "b p"], Bool[Array, "b p"]]


def _against_all(queries: Queries, latents, at, *, axis_name, chunk) -> Scored:
    b, places, d = latents.shape
    keys = gather(latents.reshape(b * places, d), axis_name)
    rows = first_row(b, axis_name) + jnp.arange(b)
    positive = rows[:, None] * places + at
    losses, right = info_nce(queries.reshape(-1, d), keys, positive.reshape(-1), chunk=chunk)
    return losses.reshape(b, -1), right.reshape(b, -1)


def _against_image(queries: Queries, latents, at, *, axis_name, chunk) -> Scored:
    del axis_name, chunk
    return jax.vmap(lambda q, z: info_nce(q, z, jnp.asarray(at)))(queries, latents)


def _against_batch(queries: Queries, latents, at, *, axis_name, chunk) -> Scored:
    del chunk
    keys = gather(latents, axis_name)[:, at]
    positive = first_row(len(latents), axis_name) + jnp.arange(len(latents))
    scores = jax.vmap(lambda q, z: info_nce(q, z, positive), in_axes=1, out_axes=1)
    return scores(queries, keys)


NEGATIVES: dict[str, Callable[..., Scored]] = {
    "all": _against_all,
    "image": _against_image,
    "batch": _against_batch,
}


def predict(
    context: Float[Array, "b rows cols e"], kernel: Float[Array, "steps d e"], skip: int = 0
) -> tuple[Queries, Integer[np.ndarray, " p"], Float[np.ndarray, " p"]]:
    """Return W_k c for all steps and places, the index of each target latent, and the weights.

    Args:
        context: of every place.
        kernel: W_k for k = skip + 1, skip + 2, ...
        skip: rows next to the context that are not predicted.

    Returns:
        The predictions; the place of each one's target in the grid, row by row; weights that sum to
        1, equal for all steps, and within a step for all places.
    """
    b, rows, cols, _ = context.shape
    queries, at, weights = [], [], []
    for i, matrix in enumerate(kernel):
        ahead = skip + 1 + i
        ahead_of = context[:, : rows - ahead].reshape(b, -1, context.shape[-1])
        queries.append(ahead_of @ matrix.T)
        at.append(np.arange(ahead * cols, rows * cols))
        weights.append(np.full(len(at[-1]), 1 / (len(kernel) * len(at[-1])), np.float32))
    return jnp.concatenate(queries, axis=1), np.concatenate(at), np.concatenate(weights)


@dataclasses.dataclass(frozen=True)
class CPC(Experiment):
    """Predict latents from contexts by InfoNCE.

    In evaluation the candidates come from the evaluated batch: with "all" and "batch", losses
    depend on the batch size; `bound` is a bound for any batch size.

    Attributes:
        steps: maximum number of rows ahead: 5 for images, 12 for sound in the paper.
        skip: rows next to the context without predictions; neighbors share half of their pixels.
        negatives: "all", "image" or "batch": the candidates.
        chunk: with "all": predictions scored at a time, to save memory; 0: all at once.
    """

    head_names: ClassVar[tuple[str, ...]] = ("prediction",)

    steps: int = 5
    skip: int = 0
    negatives: str = "all"
    chunk: int = 0
    group: int = 0
    groups: ClassVar[tuple[str, ...]] = ("single", "pairs", "views")

    def __post_init__(self):
        """Check the hyper-parameters."""
        pick(NEGATIVES, self.negatives, "experiment.negatives")
        if not 0 <= self.skip < self.steps:
            raise UserError(
                f"experiment.steps={self.steps}, experiment.skip={self.skip}: "
                "skip needs to be at least 0 and below steps"
            )
        if self.chunk < 0:
            raise UserError(f"experiment.chunk={self.chunk}: needs to be 0 or more")

    @property
    def directions(self) -> tuple[str, ...]:
        """Directions in which the contexts of the model see the grid."""
        return getattr(self.model, "directions", ("down",))

    def init(self, rng, batch) -> dict[str, Any]:
        """Return the model's variables and the matrices W_k."""
        variables = super().init(rng, batch)
        row = jax.tree.map(lambda x: x[:1], self.inputs(batch))
        _, endpoints = jax.eval_shape(self.model.apply, variables, row)
        if not {"latents", "context"} <= set(endpoints):
            raise UserError(
                "cpc needs a model with the endpoints 'latents' and 'context', as cpc_small or, of "
                f"sound, cpc_audio; {type(self.model).__name__} has {', '.join(endpoints)}"
            )
        latents, context = endpoints["latents"].shape, endpoints["context"].shape
        for direction in self.directions:
            rotated = jax.eval_shape(partial(turn, direction=direction), endpoints["latents"])
            self._check_grid(rotated.shape[1])
        shape = (self.steps - self.skip, latents[-1], context[-1] // len(self.directions))
        keys = jax.random.split(jax.random.fold_in(rng, 1), len(self.directions))
        std = (shape[1] * shape[2]) ** -0.5
        kernels = {
            direction: {"kernel": std * jax.random.normal(key, shape)}
            for direction, key in zip(self.directions, keys, strict=True)
        }
        return {**variables, "params": {**variables["params"], "prediction": kernels}}

    def _check_grid(self, rows: int) -> None:
        if self.steps >= rows:
            raise UserError(
                f"experiment.steps={self.steps}: in a grid of {rows} rows {rows - 1} can be "
                "predicted at most"
            )

    def loss(
        self, params, model_state, batch, rng, *, train, axis_name
    ) -> tuple[Float[Array, ""], Aux]:
        """Return the mean loss over examples, steps and directions; see `Experiment.loss`."""
        _, endpoints, model_state = self.apply(
            params, model_state, batch, rng, train=train, axis_name=axis_name
        )
        valid = batch.get("valid")
        latents = endpoints["latents"].astype(jnp.float32)
        contexts = jnp.split(
            endpoints["context"].astype(jnp.float32), len(self.directions), axis=-1
        )
        results = [
            self._contrast(
                turn(latents, direction),
                turn(context, direction),
                params["prediction"][direction]["kernel"],
                valid,
                axis_name,
            )
            for direction, context in zip(self.directions, contexts, strict=True)
        ]
        losses, right = (sum(parts) / len(results) for parts in zip(*results, strict=True))
        log_n = jnp.log(self._candidates(latents.shape, valid, axis_name))
        metrics = {
            "loss": Mean.of(losses, valid),
            "accuracy": Mean.of(right, valid),
            "bound": Mean.of(log_n - losses, valid),
        }
        if train:
            metrics["embedding_std"] = embedding_std(endpoints["features"], axis_name)
        return masked_mean(losses, valid, axis_name), Aux(model_state, metrics)

    def _contrast(self, latents, context, kernel, valid, axis_name):
        """Return the loss and the accuracy of each example [b]."""
        self._check_grid(latents.shape[1])
        queries, at, weights = predict(context, kernel, self.skip)
        latents = latents.reshape(len(latents), -1, latents.shape[-1])
        if valid is not None:
            # One more dimension, which gives padding the score NEVER for every query.
            queries = jnp.pad(queries, ((0, 0), (0, 0), (0, 1)), constant_values=1.0)
            padding = jnp.zeros(queries.shape[-1]).at[-1].set(NEVER)
            latents = jnp.pad(latents, ((0, 0), (0, 0), (0, 1)))
            latents = jnp.where(valid[:, None, None], latents, padding)
        score = NEGATIVES[self.negatives]
        losses, right = score(queries, latents, at, axis_name=axis_name, chunk=self.chunk)
        return losses @ weights, right.astype(jnp.float32) @ weights

    def _candidates(self, shape, valid, axis_name) -> Float[Array, ""]:
        """Return N."""
        count = jnp.asarray(shape[0]) if valid is None else jnp.sum(valid)
        if axis_name is not None:
            count = jax.lax.psum(count, axis_name)
        examples = 1 if self.negatives == "image" else jnp.maximum(count, 1)
        places = 1 if self.negatives == "batch" else shape[1] * shape[2]
        return jnp.asarray(examples * places, jnp.float32)
