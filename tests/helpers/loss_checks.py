"""What the tests of losses share: finite differences, sizes of arrays, eight replicas."""

import jax
import jax.numpy as jnp
import numpy as np

WEIGHT = np.random.default_rng(9).normal(size=(4, 3)).astype(np.float32) / 2


def finite_differences(function, x, step=1e-6):
    """Return the gradient of `function` (in float64) at the array x, by central differences."""
    x = np.array(x, np.float64)
    gradient = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        gradient[i] = (function(above) - function(below)) / (2 * step)
    return gradient


def largest_array(function, *args):
    """Return the number of elements of the largest array that computing `function` makes."""

    def sizes(jaxpr):
        for equation in jaxpr.eqns:
            yield from (v.aval.size for v in equation.outvars)
            for inner in jax.core.jaxprs_in_params(equation.params):
                yield from sizes(inner)

    return max(sizes(jax.make_jaxpr(function)(*args).jaxpr))


def one_and_eight_devices(loss, *rows):
    """Return value and gradient of a loss after a linear encoder, on one device and on eight.

    Args:
        loss: (embeddings [b, 3], *other rows, axis_name) -> (scalar, tree of metrics).
        rows: inputs [16, 4] of the encoder, and other arrays [16, ...].

    Returns:
        ((loss, metrics), gradient by the encoder's weights) of one device and of eight, averaged
        as the trainer does: `pmean` of loss and gradient, `psum` of metrics.
    """

    def encoded(weight, x, *others, axis_name=None):
        return loss(x @ weight, *others, axis_name)

    def replica(weight, *rows):
        (value, metrics), gradient = jax.value_and_grad(encoded, has_aux=True)(
            weight, *rows, axis_name="batch"
        )
        value, gradient = jax.lax.pmean((value, gradient), "batch")
        return (value, jax.lax.psum(metrics, "batch")), gradient

    weight, rows = jnp.asarray(WEIGHT), [jnp.asarray(x) for x in rows]
    one = jax.jit(jax.value_and_grad(encoded, has_aux=True))(weight, *rows)
    split = [x.reshape(8, len(x) // 8, *x.shape[1:]) for x in rows]
    mapped = jax.pmap(replica, "batch", in_axes=(None, *(0 for _ in rows)), out_axes=None)
    return one, mapped(weight, *split)


def assert_same_on_eight_devices(loss, *rows):
    """Compare `one_and_eight_devices` to 1e-6, and return what one device gives."""
    one, eight = one_and_eight_devices(loss, *rows)
    assert np.abs(one[1]).max() > 1e-2, "too small to tell anything"
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(eight), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    return one
