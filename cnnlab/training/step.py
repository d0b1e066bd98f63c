"""One training step and one evaluation step, written once; `parallel.py` only wraps them.

Under a named axis (`pmap`) gradients, loss and model state are averaged over the replicas and
metrics are summed; without one (`jit`) the batch is global and there is nothing to exchange.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from cnnlab.metrics.collected import partition
from cnnlab.metrics.metric import Mean
from cnnlab.metrics.total import object_counts
from cnnlab.training import contracts
from cnnlab.training.freeze import NOTHING, Freeze
from cnnlab.training.state import TrainState, leaf_names

Prepare = Callable[..., dict[str, Array]]


@flax.struct.dataclass
class Report:
    """What a step tells the host.

    Attributes:
        metrics: mergeable metrics by name.
        bad: int32 [], index into `checked_names` of the first leaf that is not finite, or -1.
    """

    metrics: dict[str, Any]
    bad: Any


def fetch(batch: dict[str, Array], data: dict[str, Array]) -> dict[str, Array]:
    """Look up `batch["index"]` in arrays that live on the device; `data` is empty otherwise."""
    if not data:
        return batch
    rows = {name: values[batch["index"]] for name, values in data.items()}
    return {**batch, **rows}


def checked_names(batch: PyTree, params: PyTree) -> list[str]:
    """Name what the step checks for non-finite values, in its order: cause before consequence."""
    names = [*leaf_names(batch, "batch/"), *leaf_names(params, "params/")]
    return [*names, "loss", *leaf_names(params, "gradient/")]


def _not_finite(tree: PyTree) -> Array:
    """Return for each leaf whether it holds a NaN or an infinity."""
    # Not by the largest magnitude: XLA's CPU backend, optimizing, drops a NaN from `max` over
    # thousands of elements. A sum could overflow.
    # Negated together: XLA would compile a program for each leaf.
    return ~jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)])


def _mean_over(axis_name: str, tree: PyTree) -> PyTree:
    # Counters and switches are the same on every replica, and averaging would make them floats.
    return jax.tree.map(
        lambda x: jax.lax.pmean(x, axis_name) if jnp.issubdtype(x.dtype, jnp.inexact) else x, tree
    )


def _average(decay: Float[Array, ""] | float, old: Array, new: Array) -> Array:
    if not jnp.issubdtype(new.dtype, jnp.inexact):
        return new
    return old + ((1 - decay) * (new - old)).astype(old.dtype)


def _first(bad: Array) -> Array:
    return jnp.where(jnp.any(bad), jnp.argmax(bad), -1)


def _micro_batches(batch: PyTree, count: int) -> PyTree:
    """Split the leading axis in `count` interleaved parts, which keeps every shard where it is."""
    return jax.tree.map(
        lambda x: jnp.moveaxis(x.reshape(x.shape[0] // count, count, *x.shape[1:]), 1, 0), batch
    )


def make_train_step(
    experiment: Any,
    optimizer: optax.GradientTransformation,
    prepare: Prepare,
    *,
    ema_decay: float = 0.0,
    ema_warmup: bool = True,
    accumulation: int = 1,
    unroll: bool = True,
    freeze: Freeze = NOTHING,
) -> Callable[..., tuple[TrainState, Report]]:
    """Return `step(state, batch, data, axis_name) -> (state, report)`.

    Args:
        experiment: what is optimised; see `experiments/base.py`.
        optimizer: the optax transformation behind `state.opt_state`.
        prepare: `prepare(batch, key, train=True)`, the part of the input pipeline on the device.
        ema_decay: decay of the moving average of parameters and statistics; 0 switches it off.
        ema_warmup: use a decay of at most (1 + step) / (10 + step).
        accumulation: gradients are averaged over this many equal parts of the batch.
        unroll: write the accumulation loop out. XLA's CPU backend runs convolutions inside a
            loop many times slower; elsewhere the loop compiles faster.
        freeze: parameters without a gradient and statistics that stay.
    """
    training_loss = freeze.loss(experiment.loss)

    def gradients(params, model_state, batch, key, axis_name):
        def loss_fn(params):
            return training_loss(params, model_state, batch, key, train=True, axis_name=axis_name)

        (loss, aux), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
        return loss, grads, aux.model_state, partition(aux.metrics)[0]

    def accumulate(state, batch, key, axis_name):
        if accumulation == 1:
            return gradients(state.params, state.model_state, batch, key, axis_name)

        def body(model_state, part):
            index, micro = part
            micro_key = jax.random.fold_in(key, index)
            loss, grads, model_state, metrics = gradients(
                state.params, model_state, micro, micro_key, axis_name
            )
            return model_state, (loss, grads, metrics)

        parts = (jnp.arange(accumulation), _micro_batches(batch, accumulation))
        model_state, (losses, grads, metrics) = jax.lax.scan(
            body, state.model_state, parts, unroll=accumulation if unroll else 1
        )
        loss, grads = jax.tree.map(lambda x: jnp.mean(x, axis=0), (losses, grads))
        return loss, grads, model_state, jax.tree.map(lambda x: jnp.sum(x, axis=0), metrics)

    def step(state, batch, data, axis_name=None):
        base = jax.random.wrap_key_data(state.rng)
        data_key, noise_key = jax.random.split(base)
        noise_key = jax.random.fold_in(noise_key, state.step)
        if axis_name is not None:
            noise_key = jax.random.fold_in(noise_key, jax.lax.axis_index(axis_name))
        batch = prepare(fetch(batch, data), data_key, train=True)

        loss, grads, model_state, metrics = accumulate(state, batch, noise_key, axis_name)
        metrics = {**metrics, **object_counts(batch)}
        bad_batch = _not_finite(batch)
        if axis_name is not None:
            loss, grads, model_state = _mean_over(axis_name, (loss, grads, model_state))
            metrics = jax.lax.psum(metrics, axis_name)
            bad_batch = jax.lax.psum(bad_batch.astype(jnp.int32), axis_name) > 0
        # After the mean, which may round.
        model_state = freeze.keep(state.model_state, model_state)

        checked = [bad_batch, _not_finite(state.params), _not_finite(loss), _not_finite(grads)]
        bad = _first(jnp.concatenate(checked))
        metrics = {**metrics, "grad_norm": Mean.of(optax.global_norm(grads)[None])}

        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = state.ema
        if ema_decay:
            decay: Any = ema_decay
            if ema_warmup:
                decay = jnp.minimum(ema_decay, (1 + state.step) / (10 + state.step))
            ema = jax.tree.map(partial(_average, decay), ema, (params, model_state))
        new_state = state.replace(
            step=state.step + 1,
            params=params,
            model_state=model_state,
            opt_state=opt_state,
            ema=ema,
        )
        return new_state, Report(metrics, bad)

    return step


def make_scan(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return `step` applied to every entry of a leading axis of the batch, in one program."""

    def steps(state, batches, data, axis_name=None):
        def body(state, batch):
            return step(state, batch, data, axis_name)

        return jax.lax.scan(body, state, batches)

    return steps


def make_eval_step(experiment: Any, prepare: Prepare) -> Callable[..., tuple[dict, tuple]]:
    """Return `step((params, model_state), batch, data, axis_name) -> (metrics, rows)`.

    Metrics are sums over the batch, rows what has an axis of examples: the outputs by name, and
    the collected metrics by name. While it is traced, a `UserError` is raised for an objective that
    returns anything else.
    """

    def step(variables, batch, data, axis_name=None):
        params, model_state = variables
        key = jax.random.key(0)
        batch = prepare(fetch(batch, data), key, train=False)
        aux = experiment.evaluate(params, model_state, batch, key, axis_name=axis_name)
        contracts.check_aux(experiment, aux, model_state)
        metrics, collected = partition({**aux.metrics, **object_counts(batch)})
        outputs = experiment.predict(aux.output, batch)
        rows = len(jax.tree.leaves(batch)[0])
        contracts.check_rows(experiment, outputs, collected, rows)
        if axis_name is not None:
            metrics = jax.lax.psum(metrics, axis_name)
        return metrics, (outputs, collected)

    return step
