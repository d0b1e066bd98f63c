"""Batch normalization: zero mean and unit variance of each feature over the batch, then scaled.

Ioffe & Szegedy 2015, algorithm 1; with m values of a feature in the batch

    mean = 1/m sum x,  var = 1/m sum (x - mean)^2,  x_hat = (x - mean) / sqrt(var + epsilon)
    y = scale x_hat + bias

Of feature maps the mean is over images and places (their section 3.2), m = b h w. The layer before
needs no bias. Parameters: 2 c, and 2 c running statistics.

Deviation: the variance is taken of x - mean, in a second pass. E[x^2] - E[x]^2 in one pass loses
all digits of float32 where the mean is some thousand times the standard deviation.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.initializers import zeros


def batch_norm_train(
    x: Float[Array, "*batch c"],
    scale: Float[Array, " features"] | None = None,
    bias: Float[Array, " features"] | None = None,
    *,
    epsilon: float = 1e-5,
    axis_name: str | None = None,
    axes: Sequence[int] | None = None,
) -> tuple[Float[Array, "*batch c"], Float[Array, "*kept"], Float[Array, "*kept"]]:
    """Return `x` normalized by its own statistics, their mean and their (biased) variance.

    Statistics are computed in float32 or wider and returned so; `y` has the dtype of `x`. Without
    any example `y` is empty and the statistics, of nothing, are NaN.

    Args:
        x: [*batch, c].
        scale: gamma of the paper; None is 1.
        bias: beta of the paper; None is 0.
        epsilon: added to the variance.
        axis_name: mapped axis whose members share statistics, each with as many examples; output
            and gradient are then those of the whole batch. None or "" for none.
        axes: what to average over, all but the last unless given ((1, 2) of images is instance
            normalization); the statistics keep the others.

    Raises:
        UserError: for a `scale` or `bias` that does not fit the channels, or `axes` that are not
            axes of `x` before its last.
    """
    _check(x, scale, bias)
    over = _axes(x, axes)
    scale = jnp.ones(x.shape[-1:], x.dtype) if scale is None else scale
    bias = jnp.zeros(x.shape[-1:], x.dtype) if bias is None else bias
    y, mean, var = _normalize(x, scale, bias, epsilon, axis_name or None, over)
    return y, jnp.squeeze(mean, over), jnp.squeeze(var, over)


def batch_norm_inference(
    x: Float[Array, "*batch c"],
    scale: Float[Array, " features"] | None,
    bias: Float[Array, " features"] | None,
    mean: Float[Array, " features"],
    var: Float[Array, " features"],
    *,
    epsilon: float = 1e-5,
) -> Float[Array, "*batch c"]:
    """Return `x` normalized by statistics that are given (step 11 of the paper's algorithm 2).

    Arguments and errors as for `batch_norm_train`.
    """
    _check(x, scale, bias, mean=mean, var=var)
    factor = lax.rsqrt(_wide(var) + epsilon)
    if scale is not None:
        factor = factor * _wide(scale)
    y = (_wide(x) - _wide(mean)) * factor
    return (y if bias is None else y + _wide(bias)).astype(x.dtype)


def batch_norm_backward(
    x: Float[Array, "*batch c"],
    scale: Float[Array, " features"] | None,
    dy: Float[Array, "*shape"],
    *,
    epsilon: float = 1e-5,
    axis_name: str | None = None,
) -> tuple[Float[Array, "*batch c"], Float[Array, " features"], Float[Array, " features"]]:
    """Return the gradients (dx, dscale, dbias) of `batch_norm_train`, as section 3 derives them.

    The six lines of the paper, from the output back to x. Over a named axis the sums that reach x
    through the statistics are those of the whole batch; dscale and dbias are sums over the local
    examples, to be added up like the gradient of any other parameter.
    """
    _check(x, scale, None, dy=dy)
    over = tuple(range(x.ndim - 1))
    total = partial(_mean, axes=over, axis_name=axis_name or None)
    wide_x, wide_dy = _wide(x), _wide(dy)
    mean = total(wide_x)
    var = total((wide_x - mean) ** 2)
    root = jnp.sqrt(var + epsilon)
    x_hat = (wide_x - mean) / root

    dx_hat = wide_dy if scale is None else wide_dy * _wide(scale)
    # With means in place of the paper's sums, the 1 / m of the mean and the variance are in them.
    dvar = total(dx_hat * (wide_x - mean)) * -0.5 * root**-3
    dmean = total(dx_hat) * -1 / root + dvar * total(-2 * (wide_x - mean))
    dx = dx_hat / root + dvar * 2 * (wide_x - mean) + dmean
    dscale = jnp.sum(wide_dy * x_hat, over)
    dbias = jnp.sum(wide_dy, over)
    kind = x.dtype if scale is None else scale.dtype
    return dx.astype(x.dtype), dscale.astype(kind), dbias.astype(kind)


def _wide(x):
    """Return `x` in float32, or its own dtype where that is wider."""
    return jnp.asarray(x, jnp.promote_types(x.dtype, jnp.float32))


def _mean(x, axes, axis_name):
    """Return the mean over `axes`, which stay with size 1, and over a mapped axis."""
    mean = jnp.mean(x, axes, keepdims=True)
    return mean if axis_name is None else lax.pmean(mean, axis_name)


def _statistics(x, axis_name, axes):
    mean = _mean(_wide(x), axes, axis_name)
    return mean, _mean((_wide(x) - mean) ** 2, axes, axis_name)


@partial(jax.custom_jvp, nondiff_argnums=(3, 4, 5))
def _normalize(x, scale, bias, epsilon, axis_name, axes):
    mean, var = _statistics(x, axis_name, axes)
    y = (_wide(x) - mean) * (lax.rsqrt(var + epsilon) * _wide(scale)) + _wide(bias)
    return y.astype(x.dtype), mean, var


@_normalize.defjvp
def _normalize_jvp(epsilon, axis_name, axes, primals, tangents):
    """Differentiate with two sums over the batch, and so backwards.

    Plain differentiation would not know that x - mean has mean 0, and take more. The change
    of the mean is mean(dx), that of the variance 2 mean((x - mean) dx), and what is left of dy is
    for each feature a line in x.
    """
    (x, scale, bias), (dx, dscale, dbias) = primals, map(_wide, tangents)
    mean, var = _statistics(x, axis_name, axes)
    root, wide_scale = lax.rsqrt(var + epsilon), _wide(scale)
    centered, slope = _wide(x) - mean, root * wide_scale
    dmean = _mean(dx, axes, axis_name)
    half_dvar = _mean(centered * dx, axes, axis_name)
    line = centered * (root * dscale - slope * root**2 * half_dvar) + (dbias - slope * dmean)
    y = centered * slope + _wide(bias)
    dy = slope * dx + line
    return (y.astype(x.dtype), mean, var), (dy.astype(x.dtype), dmean, 2 * half_dvar)


def _axes(x, axes) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(x.ndim - 1))
    over = tuple(sorted({a % x.ndim for a in axes if -x.ndim <= a < x.ndim}))
    if len(over) != len(axes) or x.ndim - 1 in over:
        raise UserError(
            f"batch_norm: axes={tuple(axes)} must be different axes of x {x.shape}, not its last"
        )
    return over


def _check(x, scale, bias, **others) -> None:
    """Raise a `UserError` for arrays that do not fit each other."""
    if x.ndim < 2:
        raise UserError(f"batch_norm: x {x.shape} needs a batch axis and channels")
    dy = others.pop("dy", None)
    if dy is not None and dy.shape != x.shape:
        raise UserError(f"batch_norm: dy {dy.shape} needs the shape of x {x.shape}")
    for name, value in {"scale": scale, "bias": bias, **others}.items():
        if value is not None and value.shape != x.shape[-1:]:
            raise UserError(
                f"batch_norm: {name} {value.shape} needs one number for each of the "
                f"{x.shape[-1]} channels of x {x.shape}"
            )


class BatchNorm(nn.Module):
    """Batch normalization; parameters `scale` and `bias`, running `mean` and `var`.

    The running statistics are in the collection "batch_stats", as in flax, and move in training:
    r <- momentum r + (1 - momentum) batch (PyTorch's momentum is 1 minus this one). They stay as
    they are while the module is initialized, and for a batch without examples.

    Attributes:
        train: by the statistics of the batch, or by the running ones; here or in the call.
        momentum: share of the old statistics that is kept.
        epsilon: added to the variance.
        axis_name: mapped axis whose members share statistics; "" for none.
        use_scale: whether to train gamma; without, 1.
        use_bias: whether to train beta; without, 0.
        unbiased_running_var: put the variance times m / (m - 1) into the running one, as step 10
            of algorithm 2 and PyTorch do. Off, as in flax: then inference divides by what training
            divided by, and of feature maps m is so large that it makes no difference.
        scale_init: initial scale.
        bias_init: initial bias.
        dtype: of the output; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    train: bool | None = None
    momentum: float = 0.9
    epsilon: float = 1e-5
    axis_name: str | None = ""
    use_scale: bool = True
    use_bias: bool = True
    unbiased_running_var: bool = False
    scale_init: Callable[..., Array] = nn.initializers.ones_init()
    bias_init: Callable[..., Array] = zeros
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch c"], train: bool | None = None
    ) -> Float[Array, "*batch c"]:
        """Return the normalized feature maps; errors as for `batch_norm_train`."""
        train = nn.merge_param("train", self.train, train)
        shape, wide = x.shape[-1:], jnp.promote_types(self.param_dtype, jnp.float32)
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape, wide)
        var = self.variable("batch_stats", "var", jnp.ones, shape, wide)
        scale = bias = None
        if self.use_scale:
            scale = self.param("scale", self.scale_init, shape, self.param_dtype)
        if self.use_bias:
            bias = self.param("bias", self.bias_init, shape, self.param_dtype)
        dtype = nn.dtypes.canonicalize_dtype(x, scale, bias, dtype=self.dtype)
        # Wider output must not be rounded on the way.
        x = x.astype(jnp.promote_types(x.dtype, dtype))
        if not train:
            y = batch_norm_inference(x, scale, bias, mean.value, var.value, epsilon=self.epsilon)
            return y.astype(dtype)
        axis_name = None if self.is_initializing() else self.axis_name
        y, batch_mean, batch_var = batch_norm_train(
            x, scale, bias, epsilon=self.epsilon, axis_name=axis_name
        )
        if not self.is_initializing() and x.size:
            if self.unbiased_running_var:
                members = lax.axis_size(axis_name) if axis_name else 1
                count = members * (x.size // x.shape[-1])
                batch_var = batch_var * (count / max(count - 1, 1))
            for running, batch in ((mean, batch_mean), (var, batch_var)):
                kept = self.momentum * running.value + (1 - self.momentum) * batch
                running.value = kept.astype(running.value.dtype)
        return y.astype(dtype)
