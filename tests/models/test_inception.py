"""The Inception module and the auxiliary classifier against plain numpy."""

import jax
import numpy as np
import pytest

from cnnlab.models.inception import AuxiliaryClassifier, Inception

CHANNELS = (2, 3, 4, 5, 6, 7)
X = jax.random.normal(jax.random.key(0), (2, 6, 5, 3))


def init(module, x):
    """Return variables, each moved off its start: biases of 0 would not show."""
    variables = jax.jit(module.init)(jax.random.key(1), x)
    return jax.tree.map(lambda a: np.asarray(a) + 0.1, variables)


def windows(x, k, fill):
    """Return x [b, h, w, c] as [k * k, b, h, w, c]: what each tap of centered windows sees."""
    p, (_, h, w, _) = k // 2, x.shape
    x = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=fill)
    return np.stack([x[:, u : u + h, v : v + w] for u in range(k) for v in range(k)])


def layer(x, variables, name, epsilon=1e-3):
    """Convolution, bias or BatchNorm by running statistics, ReLU."""
    kernel = variables["params"][name]["kernel"]
    k, _, c, filters = kernel.shape
    y = np.einsum("tbhwc,tcf->bhwf", windows(x, k, 0.0), kernel.reshape(k * k, c, filters))
    y = y + variables["params"][name].get("bias", 0.0)
    if "batch_stats" in variables:
        norm, stats = variables["params"][f"{name}_norm"], variables["batch_stats"][f"{name}_norm"]
        y = (y - stats["mean"]) / np.sqrt(stats["var"] + epsilon) * norm["scale"] + norm["bias"]
    return np.maximum(y, 0)


@pytest.mark.parametrize(
    ("large", "norm", "epsilon"), [(5, "", 1e-3), (3, "batch", 1e-3), (5, "batch", 0.5)]
)
def test_module_joins_four_branches_in_the_order_of_figure_2b(large, norm, epsilon):
    module = Inception(CHANNELS, large, norm=norm, epsilon=epsilon)
    variables = init(module, X)
    assert variables["params"]["conv5x5"]["kernel"].shape == (large, large, 5, 6)

    def conv(x, name):
        return layer(x, variables, name, epsilon)

    x = np.asarray(X)
    pooled = windows(x, 3, -np.inf).max(0)
    branches = [
        conv(x, "conv1x1"),
        conv(conv(x, "reduce3x3"), "conv3x3"),
        conv(conv(x, "reduce5x5"), "conv5x5"),
        conv(pooled, "proj"),
    ]
    assert [b.shape[-1] for b in branches] == [2, 4, 6, 7]
    y = jax.jit(module.apply)(variables, X)
    np.testing.assert_allclose(y, np.concatenate(branches, -1), rtol=1e-4, atol=1e-5)


def strided(x):
    """Means of 5x5 windows, 3 apart."""
    side = (x.shape[1] - 5) // 3 + 1
    means = [x[:, 3 * i : 3 * i + 5, 3 * j : 3 * j + 5] for i in range(side) for j in range(side)]
    return np.stack([m.mean((1, 2)) for m in means], 1).reshape(len(x), side, side, -1)


def adaptive(x):
    """Means of 4x4 windows: from floor(i n / 4) to ceil((i + 1) n / 4)."""
    n = x.shape[1]
    edges = [(i * n // 4, -(-(i + 1) * n // 4)) for i in range(4)]
    means = [x[:, a:b, c:d].mean((1, 2)) for a, b in edges for c, d in edges]
    return np.stack(means, 1).reshape(len(x), 4, 4, -1)


@pytest.mark.parametrize(
    ("pool", "size", "expected"),
    [
        ("strided", 14, strided),
        ("strided", 9, strided),
        ("strided", 3, adaptive),
        ("adaptive", 14, adaptive),
    ],
)
def test_auxiliary_classifier_pools_convolves_and_has_two_dense_layers(pool, size, expected):
    x = jax.random.normal(jax.random.key(2), (2, size, size, 3))
    module = AuxiliaryClassifier(5, filters=4, hidden=6, pool=pool)
    variables = init(module, x)
    y = layer(expected(np.asarray(x)), variables, "conv").reshape(2, -1)
    params = variables["params"]
    y = np.maximum(y @ params["fc"]["kernel"] + params["fc"]["bias"], 0)
    logits = y @ params["logits"]["kernel"] + params["logits"]["bias"]
    np.testing.assert_allclose(jax.jit(module.apply)(variables, x), logits, rtol=1e-4, atol=1e-5)


def test_auxiliary_classifier_drops_hidden_units_in_training():
    module = AuxiliaryClassifier(1, filters=1, hidden=1000, dropout=0.7)
    x = jax.random.normal(jax.random.key(2), (1, 5, 5, 1))
    params = jax.eval_shape(module.init, jax.random.key(1), x)["params"]
    # Every hidden unit is 1, and the logit counts them.
    params = jax.tree.map(lambda a: np.zeros(a.shape, "float32"), params)
    params["fc"]["bias"] += 1
    params["logits"]["kernel"] += 1
    assert float(jax.jit(module.apply)({"params": params}, x)[0, 0]) == 1000
    trained = jax.jit(module.clone(train=True).apply)
    kept = 0.3 * float(trained({"params": params}, x, rngs={"dropout": jax.random.key(3)})[0, 0])
    # Four standard deviations of a binomial number.
    assert abs(kept - 300) < 4 * (1000 * 0.3 * 0.7) ** 0.5 and kept == pytest.approx(round(kept))
