"""Residual networks in plain numpy and float64: the papers' formulas, driven by parameter names."""

import jax
import jax.numpy as jnp
import numpy as np


def random_variables(module, shape, seed=0):
    """Return random variables of a module: norms and biases too, which start as ones and zeros.

    Drawing them here spares a compilation of the initializers.
    """
    rng = np.random.default_rng(seed)

    def draw(path, x):
        name = path[-1].key
        if name == "kernel":
            value = rng.normal(size=x.shape) * (2 / np.prod(x.shape[:-1])) ** 0.5
        else:
            value = rng.uniform(*((0.5, 1.5) if name in ("scale", "var") else (-0.3, 0.3)), x.shape)
        return jnp.asarray(value, x.dtype)

    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros(shape)))
    return jax.tree.map_with_path(draw, shapes)


def double(tree):
    return jax.tree.map(lambda x: np.asarray(x, np.float64), tree)


def relu(x):
    return np.maximum(x, 0)


def windows(x, size, stride, fill):
    """Return every window [b, i, j, c, u, v] of x with size // 2 `fill`s around it."""
    p = size // 2
    x = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))[:, ::stride, ::stride]


def conv(x, p, stride=1, groups=1):
    size, _, _, filters = p["kernel"].shape
    parts = zip(
        np.split(windows(x, size, stride, 0), groups, 3),
        np.split(p["kernel"], groups, 3),
        strict=True,
    )
    y = np.concatenate([np.einsum("bijcuv,uvck->bijk", a, k) for a, k in parts], -1)
    assert y.shape[-1] == filters
    return y + p.get("bias", 0)


def norm(x, p, s, epsilon=1e-5):
    return (x - s["mean"]) / np.sqrt(s["var"] + epsilon) * p["scale"] + p["bias"]


def max_pool(x):
    return windows(x, 3, 2, -np.inf).max((-2, -1))


def halved(x):
    """Return means of 2x2; at an odd border of the values that there are."""
    rows = [x[:, i : i + 2] for i in range(0, x.shape[1], 2)]
    return np.stack(
        [
            np.stack([r[:, :, j : j + 2].mean((1, 2)) for j in range(0, x.shape[2], 2)], 1)
            for r in rows
        ],
        1,
    )


def shortcut(x, p, s, option, stride, filters, normed=True, before=0):
    if option == "A":
        y = np.zeros((*x[:, ::stride, ::stride].shape[:-1], filters))
        y[..., before : before + x.shape[-1]] = x[:, ::stride, ::stride]
        return y
    if "shortcut_conv" not in p:
        return x
    if option == "D" and stride == 2:
        x, stride = halved(x), 1
    x = conv(x, p["shortcut_conv"], stride)
    return norm(x, p["shortcut_norm"], s["shortcut_norm"]) if normed else x


def residual(x, p, s, option, strides, groups, before=0):
    """Return relu(x + F(x)); `strides` and `groups` of each convolution of F.

    `before` is how many zero channels option A has before its input's.
    """
    y = x
    for i, (stride, group) in enumerate(zip(strides, groups, strict=True), 1):
        y = y if i == 1 else relu(y)
        y = norm(conv(y, p[f"conv{i}"], stride, group), p[f"norm{i}"], s[f"norm{i}"])
    if option:
        y = y + shortcut(x, p, s, option, max(strides), y.shape[-1], before=before)
    return relu(y)


def pre_activation(x, p, s, option, strides, first):
    """Return x + F(x) with norms and ReLU before convolutions."""
    y = x
    for i, stride in enumerate(strides, 1):
        y = relu(norm(y, p[f"norm{i}"], s[f"norm{i}"]))
        x = y if i == 1 and first else x
        y = conv(y, p[f"conv{i}"], stride)
    return y + shortcut(x, p, s, option, max(strides), y.shape[-1], normed=False)
