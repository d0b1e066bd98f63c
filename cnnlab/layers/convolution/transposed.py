"""Transposed convolution: the adjoint of a strided convolution, not its inverse.

Long et al. 2015, section 3.3; Dumoulin & Visin 2016, chapter 4. A convolution is a matrix, Y = C X;
this is its transpose. Each input value adds the kernel, scaled by it, to the output, s apart:

    y[n, a, b, o] = bias[o] + sum over i, j, c of x[n, i, j, c] w[a - s i + p, b - s j + p, o, c]

Sizes (relationship 14), i inputs to o outputs, with a the output padding:

    o = s (i - 1) + a + d (k - 1) + 1 - p_low - p_high

Parameters: k^n (c_out / g) c_in + c_out. Where k is not divisible by s, windows overlap unevenly,
which shows as a checkerboard.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.convolution.cpu import transposed as cpu
from cnnlab.layers.convolution.cpu.conv_spec import LETTERS, ConvSpec
from cnnlab.layers.convolution.padding import Padding
from cnnlab.layers.convolution.transposed_windows import transposed_windows
from cnnlab.layers.convolution.windows import PerAxis, Windows, flatten, window_of
from cnnlab.layers.initializers import zeros

CONVENTIONS = ("adjoint", "flax")


def conv_transpose(
    x: Float[Array, "*batch_and_space c_in"],
    kernel: Float[Array, "*window c_a c_b"],
    bias: Float[Array, " c_out"] | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = "SAME",
    output_padding: int | Sequence[int] = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    convention: str = "adjoint",
) -> Float[Array, "*batch_and_space_out c_out"]:
    """Return the transposed convolution of channels-last `x` over one to three axes.

    There are two conventions, which differ in the layout of the kernel, in whether it is flipped,
    and in what numbers for `padding` mean:

    * "adjoint" (PyTorch's): exactly the adjoint of `conv` with the same kernel, stride, padding,
      dilation and groups. The kernel is that convolution's, which goes from c_out to c_in:
      [*window, c_out / groups, c_in]. Padding is that convolution's, so it takes away from the
      output.
    * "flax" (`jax.lax.conv_transpose` and `flax.linen.ConvTranspose` as they are by default): the
      kernel is [*window, c_in / groups, c_out] and slides unflipped over the input with s - 1
      zeros between its values. Numbers for `padding` are zeros around that, so they add to the
      output; flax has no output padding.

    `swap_convention` converts a kernel from one to the other.

    Args:
        x: [*batch, *spatial, c_in]; any number of batch axes, of any size.
        kernel: in the layout of `convention`.
        bias: one number for each of the c_out feature maps.
        stride: distance of the kernels added to the output, and about its ratio of sizes.
        padding: "SAME" makes an output of s i, and is the adjoint of a SAME convolution; "VALID"
            crops nothing, and with flax's convention the output is at least s i; "CAUSAL", numbers
            and pairs as in `padding.pads_of`.
        output_padding: values more at the end: of the s sizes that a convolution takes to the
            size of x, which one. Not with "SAME", which has chosen.
        dilation: distance of taps.
        groups: independent parts of the channels.
        convention: "adjoint" or "flax".

    Raises:
        UserError: for ranks, channels, groups or dtypes that do not fit, an output padding that no
            convolution has, or padding that leaves nothing; it names them.
    """
    axes = kernel.ndim - 2
    check(x, kernel, bias, groups, convention)
    over = transposed_windows(
        x.shape[-1 - axes : -1],
        kernel.shape[:-2],
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        convention=convention,
    )
    if convention == "flax":
        kernel = swap_convention(kernel, groups)
    batch = x.shape[: -1 - axes]
    y = transpose(flatten(x, axes), kernel, over, groups)
    y = y.reshape(*batch, *y.shape[1:])
    return y if bias is None else y + bias


def transpose(x, kernel, over: Windows, groups: int):
    """Return `conv_transpose` without its checks, for [b, *spatial, c] and an adjoint kernel."""
    axes = len(over.stride)
    around = [
        (k - 1 - low, k - 1 - high) for k, (low, high) in zip(over.spans, over.pads, strict=True)
    ]

    def native(x, kernel):
        layout = (f"N{LETTERS[axes]}C", f"{LETTERS[axes]}IO", f"N{LETTERS[axes]}C")
        return lax.conv_general_dilated(
            x,
            swap_convention(kernel, groups),
            (1,) * axes,
            around,
            lhs_dilation=over.stride,
            rhs_dilation=over.dilation,
            dimension_numbers=layout,
            feature_group_count=groups,
        )

    spec = ConvSpec(x.shape, kernel.shape, over.stride, over.pads, over.dilation, groups)
    lowering = cpu.select_in_float32(spec)
    if lowering is None:
        return native(x, kernel)
    return lax.platform_dependent(x, kernel, cpu=lowering, default=native)


def swap_convention(
    kernel: Float[Array, "*window c_a c_b"], groups: int = 1
) -> Float[Array, "*window c_c c_d"]:
    """Return a kernel of one convention as that of the other: flipped, channels exchanged.

    From [*window, c_out / groups, c_in] to [*window, c_in / groups, c_out], or back.
    """
    *window, a, b = kernel.shape
    flipped = jnp.flip(kernel, tuple(range(len(window))))
    parts = flipped.reshape(*window, a, groups, b // groups)
    return jnp.swapaxes(parts, -1, -3).reshape(*window, b // groups, groups * a)


def check(x, kernel, bias, groups: int, convention: str) -> None:
    """Raise a `UserError` for arrays that do not fit each other."""
    axes = kernel.ndim - 2
    if convention not in CONVENTIONS:
        raise UserError(f"conv_transpose: convention='{convention}' is none of {CONVENTIONS}")
    if axes not in LETTERS:
        raise UserError(f"conv_transpose: kernel {kernel.shape} needs 1 to 3 axes and channels")
    if x.ndim < axes + 1:
        raise UserError(
            f"conv_transpose: x {x.shape} needs {axes} spatial axes and channels for kernel "
            f"{kernel.shape}"
        )
    first, last = kernel.shape[-2:]
    adjoint = convention == "adjoint"
    if groups < 1 or x.shape[-1] % groups or last % groups:
        raise UserError(
            f"conv_transpose: groups={groups} must divide the {x.shape[-1]} channels of x and the "
            f"last axis of kernel {kernel.shape}"
        )
    if x.shape[-1] != (last if adjoint else first * groups):
        layout = "c_out / groups, c_in" if adjoint else "c_in / groups, c_out"
        raise UserError(
            f"conv_transpose: x has {x.shape[-1]} channels, which kernel {kernel.shape} with "
            f"groups={groups} does not take: convention='{convention}' has [*window, {layout}]"
        )
    features = first * groups if adjoint else last
    if bias is not None and bias.shape != (features,):
        raise UserError(f"conv_transpose: bias {bias.shape} for {features} feature maps")
    dtypes = {str(a.dtype) for a in (x, kernel, bias) if a is not None}
    if len(dtypes) > 1:
        raise UserError(
            f"conv_transpose: x, kernel and bias have dtypes {sorted(dtypes)}: cast to one"
        )


class ConvTranspose(nn.Module):
    """Transposed convolution with parameters `kernel` and `bias`.

    The arguments are those of `conv_transpose`. With `convention="adjoint"` the kernel is
    [*window, features / groups, c_in], with "flax" [*window, c_in / groups, features].

    Attributes:
        features: number of feature maps.
        kernel_size: taps along each axis; their count says over how many axes.
        stride: about how many times larger the output is.
        padding: "SAME", "VALID", "CAUSAL", numbers or pairs.
        output_padding: values more at the end.
        dilation: distance of taps.
        groups: independent parts of the channels.
        convention: "adjoint" or "flax".
        use_bias: one bias a feature map.
        kernel_init: initial weights; None is He et al. 2015 with a fan-in of k^n c_in / groups.
        bias_init: initial bias.
        dtype: of the computation; None takes the widest of input and parameters.
        param_dtype: of the parameters.
    """

    features: int
    kernel_size: Sequence[int]
    stride: PerAxis = 1
    padding: Padding = "SAME"
    output_padding: int | Sequence[int] = 0
    dilation: PerAxis = 1
    groups: int = 1
    convention: str = "adjoint"
    use_bias: bool = True
    kernel_init: Callable[..., Array] | None = None
    bias_init: Callable[..., Array] = zeros
    dtype: Any = None
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch_and_space c_in"]
    ) -> Float[Array, "*batch_and_space_out features"]:
        """Return the feature maps; errors as for `conv_transpose`."""
        c_in, groups = x.shape[-1], self.groups
        window = window_of(self.kernel_size, "ConvTranspose")
        if groups < 1 or c_in % groups or self.features % groups:
            raise UserError(
                f"ConvTranspose: groups={groups} must divide {c_in} channels and "
                f"{self.features} features"
            )
        adjoint = self.convention == "adjoint"
        channels = (self.features // groups, c_in) if adjoint else (c_in // groups, self.features)
        # The last axis of an adjoint kernel counts the inputs of all groups, not those of one.
        initial = self.kernel_init or nn.initializers.variance_scaling(
            2.0 * groups if adjoint else 2.0,
            "fan_in",
            "truncated_normal",
            in_axis=-1 if adjoint else -2,
            out_axis=-2 if adjoint else -1,
        )
        kernel = self.param("kernel", initial, (*window, *channels), self.param_dtype)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self.bias_init, (self.features,), self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return conv_transpose(
            x,
            kernel,
            bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation,
            groups=groups,
            convention=self.convention,
        )
