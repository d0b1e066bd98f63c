"""Initial weights: variances by formula, and what becomes of a signal through many layers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.layers import initializers
from cnnlab.layers.initializers import INITIALIZERS, fans, he_normal, normal, orthonormal

KEY = jax.random.key(0)
# A kernel of 3x3 over 40 channels in 4 groups, 80 filters: fans 3 * 3 * 10 and 3 * 3 * 80.
SHAPE = (3, 3, 10, 80)
FAN_IN, FAN_OUT = 90, 720


def test_fan_in_counts_the_values_an_output_is_a_sum_of():
    assert fans(SHAPE) == (FAN_IN, FAN_OUT)
    assert fans((7, 5)) == (7, 5)
    assert fans((2, 3, 4, 5, 6)) == (120, 144)


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("lecun_normal", 1 / FAN_IN),
        ("xavier_normal", 2 / (FAN_IN + FAN_OUT)),
        ("xavier_uniform", 2 / (FAN_IN + FAN_OUT)),
        ("he_normal", 2 / FAN_IN),
        ("he_uniform", 2 / FAN_IN),
        ("normal", 0.01**2),
    ],
)
def test_variance_is_that_of_the_formula_to_four_standard_errors(name, variance):
    sample = np.stack([INITIALIZERS[name](jax.random.key(n), SHAPE) for n in range(4)])
    assert abs(sample.mean()) < 4 * np.sqrt(variance / sample.size)
    # The fourth moment of a normal number is 3 variance^2; cut or uniform ones have less.
    assert abs(sample.var() - variance) < 4 * variance * np.sqrt(2 / sample.size)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("xavier_uniform", np.sqrt(6 / (FAN_IN + FAN_OUT))),
        ("he_uniform", np.sqrt(6 / FAN_IN)),
        ("he_normal", 2 * np.sqrt(2 / FAN_IN) / 0.8796),
    ],
)
def test_nothing_lies_outside_the_limits(name, limit):
    largest = float(jnp.abs(INITIALIZERS[name](KEY, SHAPE)).max())
    assert 0.99 * limit < largest <= 1.0001 * limit


def test_the_standard_deviation_of_normal_weights_is_given_by_hand():
    np.testing.assert_allclose(normal(KEY, SHAPE, std=0.3), 30 * normal(KEY, SHAPE), rtol=1e-5)


@pytest.mark.parametrize(("shape", "columns"), [((3, 3, 4, 20), True), ((2, 4, 20), False)])
def test_orthonormal_kernels_keep_lengths(shape, columns):
    matrix = np.asarray(orthonormal(KEY, shape)).reshape(-1, 20)
    gram = matrix.T @ matrix if columns else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)
    np.testing.assert_allclose(orthonormal(KEY, shape, gain=2.0), 2 * orthonormal(KEY, shape))


def test_orthonormal_matrices_have_no_preferred_sign():
    """The signs of a plain QR decomposition would make the diagonal of one sign."""
    matrices = jax.vmap(lambda key: orthonormal(key, (2, 2)))(jax.random.split(KEY, 400))
    for i, j in np.ndindex(2, 2):
        assert abs(float(jnp.mean(matrices[:, i, j]))) < 4 * np.sqrt(0.5 / 400)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, jnp.bfloat16) for name in INITIALIZERS), ("orthonormal", jnp.float64)],
)
def test_weights_have_the_dtype_asked_for(name, dtype):
    with jax.enable_x64(True):
        weights = INITIALIZERS[name](jax.random.key(0), (5, 4), dtype)
    assert weights.dtype == dtype
    assert np.all(np.isfinite(np.asarray(weights, np.float32)))


def test_a_kernel_without_input_axis_is_named():
    with pytest.raises(UserError, match=r"two axes or more, not \(3,\)"):
        he_normal(KEY, (3,))


def test_from_zeros_only_the_last_bias_ever_learns():
    """Three steps of gradient descent; the activation maps 0 to 0."""
    model = models.create("mlp", hidden=(5, 5), num_classes=3, activation="tanh")
    x, labels = jax.random.normal(KEY, (8, 6)), jnp.arange(8) % 2
    params = jax.tree.map(jnp.zeros_like, model.init(KEY, x)["params"])

    @jax.jit
    def gradient(params):
        def loss(params):
            logits = model.apply({"params": params}, x)[0]
            return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(8), labels])

        return jax.grad(loss)(params)

    for _ in range(3):
        gradients = gradient(params)
        moving = {
            jax.tree_util.keystr(path, simple=True, separator="/")
            for path, g in jax.tree.leaves_with_path(gradients)
            if np.any(g != 0)
        }
        assert moving == {"logits/bias"}
        params = jax.tree.map(lambda p, g: p - g, params, gradients)


@pytest.mark.parametrize(
    ("init", "factor"),
    [
        (he_normal, 1.0),
        (initializers.lecun_normal, 0.5),
        (partial(normal, std=0.05), 400 * 0.05**2 / 2),
    ],
)
def test_a_relu_layer_multiplies_the_mean_square_by_half_fan_in_variance(init, factor):
    """He et al. 2015, eq. 9: 1 with their weights; with variance 1/n, 2^-L after L layers."""
    layers, width = 10, 400
    x = jax.random.normal(jax.random.key(7), (200, width))
    start = jnp.mean(x**2)

    @jax.jit
    def run(x):
        for key in jax.random.split(KEY, layers):
            x = jax.nn.relu(x) @ init(key, (width, width), jnp.float32)
        return x

    growth = float(jnp.mean(run(x) ** 2) / start)
    # What n weights sum to varies by about sqrt(5 / n) a layer, sqrt(L) times that in all.
    assert np.log(growth) == pytest.approx(
        layers * np.log(factor), abs=4 * np.sqrt(5 * layers / width)
    )
