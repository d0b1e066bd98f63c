"""Convolution with a connection table: each filter reads some of the feature maps.

LeCun et al. 1998, section II.B, layer C3 and table I; with T[o] the maps that filter o reads:

    y[i, j, o] = b[o] + sum over c in T[o], u, v of x[s i + u - p, s j + v - p, c] w[u, v, c, o]

Different inputs force filters to extract different features, with fewer multiply-adds and
parameters. Parameters: k^2 sum over o of |T[o]|, plus c_out: 1,516 for the paper's C3.

Deviation: it is computed as a plain convolution with zero weights for the missing connections,
which is faster on today's machines, so its multiply-adds are those of all connections.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.conv import conv
from cnnlab.layers.convolution.conv_backward import conv_backward
from cnnlab.layers.convolution.padding import Padding
from cnnlab.layers.convolution.windows import PerAxis

Table = Sequence[Sequence[int]]


def table_conv(
    x: Float[Array, "*batch_and_space c_in"],
    kernel: Float[Array, "*window connections"],
    bias: Float[Array, " c_out"] | None = None,
    *,
    table: Table,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
) -> Float[Array, "*batch_and_space_out c_out"]:
    """Return the convolution of `x` in which filter o reads the maps `table[o]`.

    Args:
        x: [*batch, *spatial, c_in].
        kernel: [*window, connections], those of the first filter first, each in the table's order.
        bias: one number a filter.
        table: for each filter the numbers of the maps that it reads.
        stride: as for `conv`, and so the padding.
        padding: amounts or their name.

    Raises:
        UserError: as `conv`, for a table that names no map, one twice or one that `x` does not
            have, and for a kernel with another number of connections.
    """
    return conv(x, _dense(x, kernel, table), bias, stride=stride, padding=padding)


def table_conv_backward(
    x: Float[Array, "*batch_and_space c_in"],
    kernel: Float[Array, "*window connections"],
    dy: Float[Array, "*batch_and_space_out c_out"],
    *,
    table: Table,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
) -> tuple[
    Float[Array, "*batch_and_space c_in"],
    Float[Array, "*window connections"],
    Float[Array, " c_out"],
]:
    """Return (dx, dkernel, dbias) of `table_conv`: those of a convolution, where connected.

    Arguments and errors as for `table_conv` and `conv_backward`.
    """
    dense = _dense(x, kernel, table)
    dx, dkernel, dbias = conv_backward(x, dense, dy, stride=stride, padding=padding)
    maps, filters = connections(table, x.shape[-1])
    return dx, dkernel[..., maps, filters], dbias


def connections(table: Table, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return map and filter of each connection.

    Raises:
        UserError: for a filter without a map, with one twice, or with one not below `channels`.
    """
    for o, row in enumerate(table):
        if not row or len(set(row)) < len(row) or not all(0 <= c < channels for c in row):
            raise UserError(
                f"table_conv: table[{o}]={tuple(row)} must name some of the {channels} maps, each "
                "once"
            )
    maps = np.concatenate([np.asarray(row, np.int32) for row in table])
    return maps, np.repeat(np.arange(len(table)), [len(row) for row in table])


def _dense(x, kernel, table: Table):
    """Return the kernel [*window, c_in, c_out] with zeros where nothing is connected."""
    maps, filters = connections(table, x.shape[-1])
    if kernel.shape[-1] != len(maps):
        raise UserError(
            f"table_conv: kernel {kernel.shape} for {len(maps)} connections in the table"
        )
    dense = jnp.zeros((*kernel.shape[:-1], x.shape[-1], len(table)), kernel.dtype)
    return dense.at[..., maps, filters].set(kernel)


def lecun_uniform(fan_in: int | np.ndarray) -> Callable[..., Array]:
    """Return an initializer: uniform within 2.4 / fan_in (LeCun et al. 1998, appendix A).

    Args:
        fan_in: number of inputs of a unit; or one for each entry of the last axis.
    """

    def init(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Float[Array, "..."]:
        limit = jnp.asarray(2.4 / np.asarray(fan_in), dtype)
        return limit * jax.random.uniform(key, shape, dtype, -1, 1)

    return init


class TableConv(nn.Module):
    """`table_conv` with parameters `kernel` [*window, connections] and `bias` [c_out].

    Both start uniform within 2.4 / fan_in, with the fan-in that each filter has by the table.

    Attributes:
        table: for each filter the numbers of the maps that it reads.
        kernel_size: taps along each axis.
        stride: steps between windows.
        padding: "SAME", "VALID", "CAUSAL", numbers or pairs.
        use_bias: one bias a filter.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    table: Table
    kernel_size: Sequence[int]
    stride: PerAxis = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch_and_space c_in"]
    ) -> Float[Array, "*batch_and_space_out c_out"]:
        """Return the feature maps; errors as for `table_conv`."""
        window, counts = tuple(self.kernel_size), np.array([len(row) for row in self.table])
        fan_in = np.prod(window) * counts
        init = lecun_uniform(np.repeat(fan_in, counts))
        kernel = self.param("kernel", init, (*window, int(counts.sum())), self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", lecun_uniform(fan_in), counts.shape, self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return table_conv(
            x, kernel, bias, table=self.table, stride=self.stride, padding=self.padding
        )
