"""Bilinear products whose gradients have other lowerings than their values."""

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from cnnlab.layers.convolution.cpu.conv_spec import Lowering


def with_gradients(
    lowering: Lowering, *, kernel: Lowering, input: Lowering | None = None
) -> Lowering:
    """Return `lowering`, linear in x and in the kernel, with derivatives by other lowerings of it:

        d lowering(x, w) = input(dx, w) + kernel(x, dw)

    Reverse mode runs the transposes of those two, never themselves. So `kernel` is the way to
    write the same product whose transpose, the gradient of the kernel, is fast, however slow it is
    itself. Everything stays an ordinary program: forward mode, gradients of gradients and `vmap`
    hold, which a custom VJP would not all give.

    Args:
        lowering: computes the values.
        kernel: the same product, whose transpose is the gradient of the kernel.
        input: the same product, whose transpose is the gradient of x; None takes `lowering`.
    """

    @jax.custom_jvp
    def product(x, w):
        return lowering(x, w)

    @partial(product.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        (x, w), (dx, dw) = primals, tangents
        terms = []
        if not isinstance(dx, SymbolicZero):
            terms.append((input or product)(dx, w))
        if not isinstance(dw, SymbolicZero):
            terms.append(kernel(x, dw))
        y = product(x, w)
        return y, reduce(jnp.add, terms) if terms else jnp.zeros_like(y)

    return product
