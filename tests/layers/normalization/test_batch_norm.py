"""Batch normalization: the numbers of the paper's algorithm, its gradient, shared statistics."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from cnnlab.errors import UserError
from cnnlab.layers.normalization.batch_norm import (
    BatchNorm,
    batch_norm_backward,
    batch_norm_inference,
    batch_norm_train,
)

# Four values of one feature, worked by hand.
X = jnp.array([[1.0], [2.0], [3.0], [6.0]])
DY = jnp.array([[1.0], [0.0], [0.0], [0.0]])
SCALE, BIAS = jnp.array([2.0]), jnp.array([1.0])


def images(seed=0, shape=(4, 3, 5, 2), dtype=jnp.float32):
    return 2 * jax.random.normal(jax.random.key(seed), shape, dtype) + 1


def parameters(dtype=jnp.float32):
    return jnp.array([0.5, -2.0], dtype), jnp.array([0.3, 1.0], dtype)


def test_four_values_by_hand():
    y, mean, var = batch_norm_train(X, SCALE, BIAS)
    np.testing.assert_allclose(mean, [3.0])
    np.testing.assert_allclose(var, [3.5])
    np.testing.assert_allclose(y[:, 0], [-1.138087, -0.069043, 1, 4.207130], rtol=1e-6, atol=1e-6)


def test_four_gradients_by_hand():
    dx, dscale, dbias = batch_norm_backward(X, SCALE, DY)
    np.testing.assert_allclose(dx[:, 0], [0.496342, -0.419981, -0.267261, 0.190899], atol=1e-6)
    np.testing.assert_allclose(dscale, [-1.069043], rtol=1e-6)
    np.testing.assert_allclose(dbias, [1.0])
    assert abs(float(dx.sum())) < 1e-6


def test_each_feature_map_has_the_scale_and_bias_as_deviation_and_mean():
    scale, bias = parameters()
    y = np.asarray(batch_norm_train(images(), scale, bias)[0], np.float64)
    np.testing.assert_allclose(y.mean((0, 1, 2)), bias, atol=1e-6)
    np.testing.assert_allclose(y.std((0, 1, 2)), np.abs(scale), rtol=1e-4)


def test_the_units_of_the_input_do_not_matter():
    y = batch_norm_train(images(), epsilon=0.0)[0]
    other = batch_norm_train(images() * jnp.array([3.0, 0.1]) + 7, epsilon=0.0)[0]
    np.testing.assert_allclose(other, y, atol=1e-5)


def test_a_mean_far_above_the_deviation_costs_no_digits_of_the_variance():
    x = jax.random.normal(jax.random.key(0), (4096, 3)) + 1e3
    exact = np.asarray(x, np.float64)
    y, mean, var = batch_norm_train(x)
    np.testing.assert_allclose(var, exact.var(0), rtol=1e-5)
    # Half a unit in the last place of the mean is 3e-5 here.
    np.testing.assert_allclose(mean, exact.mean(0), atol=2e-4)
    np.testing.assert_allclose(y, (exact - exact.mean(0)) / exact.std(0), atol=3e-4)
    dy = jax.random.normal(jax.random.key(1), x.shape)
    dx = jax.vjp(lambda x: batch_norm_train(x)[0], x)[1](dy)[0]
    with jax.enable_x64(True):
        expected = batch_norm_backward(jnp.asarray(exact), None, jnp.asarray(dy, jnp.float64))[0]
    np.testing.assert_allclose(dx, expected, atol=3e-4)


@pytest.mark.parametrize(
    ("shape", "affine"), [((6, 2), True), ((4, 3, 5, 2), True), ((2, 2, 3, 2, 2), False)]
)
@pytest.mark.sample(1)
def test_the_written_gradient_equals_automatic_differentiation(shape, affine):
    with jax.enable_x64(True):
        scale, bias = parameters(jnp.float64) if affine else (None, None)
        x, dy = (images(seed, shape, jnp.float64) for seed in (0, 1))
        written = batch_norm_backward(x, scale, dy, epsilon=1e-3)
        one, zero = jnp.ones(2), jnp.zeros(2)
        _, pull = jax.vjp(
            lambda *args: batch_norm_train(*args, epsilon=1e-3)[0],
            x,
            scale if affine else one,
            bias if affine else zero,
        )
        for ours, automatic in zip(written, pull(dy), strict=True):
            np.testing.assert_allclose(ours, automatic, rtol=1e-10, atol=1e-10)


def plain(x, scale, bias, axes=(0, 1, 2), epsilon=1e-5):
    """Algorithm 1, differentiated as it stands."""
    mean, var = jnp.mean(x, axes, keepdims=True), jnp.var(x, axes, keepdims=True)
    y = (x - mean) / jnp.sqrt(var + epsilon) * scale + bias
    return y, jnp.squeeze(mean, axes), jnp.squeeze(var, axes)


@pytest.mark.parametrize("axes", [None, (1, 2)])
def test_output_statistics_and_their_gradients_equal_algorithm_1_as_it_stands(axes):
    def loss(function, x, scale, bias):
        y, mean, var = function(x, scale, bias)
        return jnp.sum(jnp.sin(y) * x) + jnp.sum(mean**3) + jnp.sum(jnp.exp(-var))

    with jax.enable_x64(True):
        args = (images(dtype=jnp.float64), *parameters(jnp.float64))
        ours = jax.value_and_grad(partial(loss, partial(batch_norm_train, axes=axes)), (0, 1, 2))
        reference = partial(plain, axes=axes or (0, 1, 2))
        expected = jax.value_and_grad(partial(loss, reference), (0, 1, 2))(*args)
        jax.tree.map(
            partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9), ours(*args), expected
        )


def test_first_and_second_derivatives_forwards_and_backwards():
    with jax.enable_x64(True):
        args = (images(shape=(3, 2, 2), dtype=jnp.float64), *parameters(jnp.float64))

        def function(*args):  # check_grads passes numpy arrays.
            return batch_norm_train(*map(jnp.asarray, args))

        check_grads(jax.jit(function), args, order=2, modes=("fwd", "rev"), rtol=1e-6, atol=1e-6)


def test_a_feature_that_does_not_vary_becomes_the_bias_with_a_finite_gradient():
    x = jnp.full((4, 2), 3.0)
    scale, bias = parameters()
    y, _, var = batch_norm_train(x, scale, bias)
    np.testing.assert_array_equal(y, jnp.broadcast_to(bias, (4, 2)))
    np.testing.assert_array_equal(var, [0, 0])
    gradient = jax.grad(lambda x: jnp.sum(batch_norm_train(x, scale, bias)[0][0]))(x)
    assert np.all(np.isfinite(gradient))


def test_examples_over_devices_are_one_batch_forwards_and_backwards():
    scale, bias = parameters()
    x, dy = (images(seed, (8, 3, 3, 2)) for seed in (0, 1))

    @partial(jax.pmap, axis_name="devices", devices=jax.devices()[:4], in_axes=(0, None, None, 0))
    def spread(x, scale, bias, dy):
        (y, mean, var), pull = jax.vjp(
            lambda *args: batch_norm_train(*args, axis_name="devices"), x, scale, bias
        )
        zeros = jnp.zeros_like(mean)
        automatic = pull((dy, zeros, zeros))
        written = batch_norm_backward(x, scale, dy, axis_name="devices")
        return y, mean, var, automatic, written

    def four(x):
        return x.reshape(4, 2, 3, 3, 2)

    y, mean, var, automatic, written = spread(four(x), scale, bias, four(dy))
    expected = batch_norm_train(x, scale, bias)
    close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    close(y.reshape(x.shape), expected[0])
    for device in range(4):
        close(mean[device], expected[1])
        close(var[device], expected[2])
    dx, dscale, dbias = batch_norm_backward(x, scale, dy)
    for local in (automatic, written):
        close(local[0].reshape(x.shape), dx)
        close(local[1].sum(0), dscale)
        close(local[2].sum(0), dbias)


def test_mapped_examples_have_statistics_of_their_own():
    x = images(shape=(3, 4, 5, 2))
    mapped = jax.vmap(lambda x: batch_norm_train(x)[0])(x)
    for one, expected in zip(mapped, x, strict=True):
        np.testing.assert_allclose(one, batch_norm_train(expected)[0], atol=1e-6)


def test_instance_normalization_averages_over_each_image_alone():
    scale, bias = parameters()
    y, mean, _ = batch_norm_train(images(), scale, bias, axes=(1, -2))
    assert mean.shape == (4, 2)
    for image, got in zip(images(), y, strict=True):
        np.testing.assert_allclose(got, batch_norm_train(image, scale, bias)[0], atol=1e-5)


def test_half_precision_has_statistics_in_float32():
    x = (images(shape=(512, 2)) + 5).astype(jnp.bfloat16)
    y, mean, var = batch_norm_train(x)
    assert (y.dtype, mean.dtype, var.dtype) == (jnp.bfloat16, jnp.float32, jnp.float32)
    exact = np.asarray(x, np.float64)
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-5)
    np.testing.assert_allclose(var, exact.var(0), rtol=1e-5)
    np.testing.assert_allclose(
        np.asarray(y, np.float64), (exact - exact.mean(0)) / exact.std(0), rtol=2**-8, atol=1e-4
    )


def test_inference_by_the_statistics_of_the_batch_is_training():
    scale, bias = parameters()
    y, mean, var = batch_norm_train(images(), scale, bias, epsilon=0.1)
    same = batch_norm_inference(images(), scale, bias, mean, var, epsilon=0.1)
    np.testing.assert_allclose(same, y, atol=1e-6)
    bare = batch_norm_inference(images(), None, None, mean, var, epsilon=0.1)
    np.testing.assert_allclose(bare * scale + bias, y, atol=1e-6)


def test_a_batch_without_examples_gives_none_and_leaves_the_running_statistics():
    empty = jnp.zeros((0, 3, 3, 2))
    assert batch_norm_train(empty)[0].shape == empty.shape
    module = BatchNorm(train=True)
    variables = module.init(jax.random.key(0), images())
    y, state = module.apply(variables, empty, mutable=["batch_stats"])
    assert y.shape == empty.shape
    jax.tree.map(np.testing.assert_array_equal, state["batch_stats"], variables["batch_stats"])


@pytest.mark.parametrize(("unbiased", "factor"), [(False, 1.0), (True, 60 / 59)])
def test_running_statistics_keep_a_share_of_the_old(unbiased, factor):
    module = BatchNorm(momentum=0.8, unbiased_running_var=unbiased)
    variables = module.init(jax.random.key(0), images(), train=True)
    jax.tree.map(
        np.testing.assert_array_equal,
        variables["batch_stats"],
        {"mean": jnp.zeros(2), "var": jnp.ones(2)},
    )
    x = np.asarray(images(), np.float64)
    mean, var = np.zeros(2), np.ones(2)
    for _ in range(2):
        _, state = module.apply(variables, images(), train=True, mutable=["batch_stats"])
        variables = {**variables, **state}
        mean = 0.8 * mean + 0.2 * x.mean((0, 1, 2))
        var = 0.8 * var + 0.2 * factor * x.var((0, 1, 2))
    np.testing.assert_allclose(variables["batch_stats"]["mean"], mean, rtol=1e-5)
    np.testing.assert_allclose(variables["batch_stats"]["var"], var, rtol=1e-5)


def test_the_unbiased_variance_counts_the_examples_of_all_devices():
    module = BatchNorm(train=True, momentum=0.0, axis_name="devices", unbiased_running_var=True)
    variables = module.init(jax.random.key(0), X)
    # By hand: the squared deviations 14 over 4 - 1.
    _, state = jax.vmap(
        lambda x: module.apply(variables, x, mutable=["batch_stats"]), axis_name="devices"
    )(X.reshape(2, 2, 1))
    np.testing.assert_allclose(state["batch_stats"]["var"], [[14 / 3], [14 / 3]], rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "kind", "affine"),
    [
        (None, jnp.float32, True),
        (None, jnp.bfloat16, True),
        (None, jnp.bfloat16, False),
        (jnp.bfloat16, jnp.float32, True),
    ],
)
def test_variables_and_outputs_are_those_of_flax(dtype, kind, affine):
    same = dict(momentum=0.9, dtype=dtype, use_scale=affine, use_bias=affine)
    ours, theirs = BatchNorm(**same), nn.BatchNorm(**same)
    x = images().astype(kind)
    variables = ours.init(jax.random.key(0), x, train=True)
    expected = theirs.init(jax.random.key(0), x, use_running_average=False)
    assert jax.tree.structure(variables) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, dict(variables), dict(expected))
    variables = jax.tree.map(lambda v: v + 0.5, variables)
    for train in (True, False):
        y, state = ours.apply(variables, x, train=train, mutable=["batch_stats"])
        want, want_state = theirs.apply(
            variables, x, use_running_average=not train, mutable=["batch_stats"]
        )
        assert y.dtype == want.dtype
        tolerance = 1e-5 if y.dtype == jnp.float32 else 2**-7
        np.testing.assert_allclose(
            np.asarray(y, np.float32), np.asarray(want, np.float32), rtol=tolerance, atol=tolerance
        )
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), state, want_state)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: batch_norm_train(jnp.ones(3)), r"x \(3,\) needs a batch axis"),
        (lambda: batch_norm_train(X, jnp.ones(2)), r"scale \(2,\) .* 1 channels"),
        (lambda: batch_norm_train(X, None, jnp.ones(2)), r"bias \(2,\)"),
        (lambda: batch_norm_train(images(), axes=(0, 3)), r"axes=\(0, 3\)"),
        (lambda: batch_norm_train(images(), axes=(0, -4)), r"axes=\(0, -4\)"),
        (lambda: batch_norm_train(images(), axes=(5,)), r"axes=\(5,\)"),
        (lambda: batch_norm_inference(X, None, None, jnp.ones(2), jnp.ones(2)), r"mean \(2,\)"),
        (lambda: batch_norm_backward(X, SCALE, DY[:2]), r"dy \(2, 1\) needs the shape of x"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(UserError, match=message):
        call()
