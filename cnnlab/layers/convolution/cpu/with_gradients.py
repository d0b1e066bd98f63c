"""Products that are differentiated through other forms than they are computed by."""

from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from cnnlab.layers.convolution.cpu.conv_spec import Form


def bilinear(form: Form, *, of_kernel: Form, of_x: Form | None = None) -> Form:
    """Return `form`, linear in x and in kernel, with derivatives taken from other forms of it:

        d form(x, kernel) = of_x(dx, kernel) + of_kernel(x, dkernel)

    Reverse mode runs the transposes of those two, never themselves. So `of_kernel` is the way to
    write the same product whose transpose, the gradient of the kernel, is fast, however slow it is
    itself. Everything stays an ordinary program: forward mode, gradients of gradients and `vmap`
    hold, which a custom VJP would not all give.

    Args:
        form: computes the values.
        of_kernel: the same product, transposed for the gradient of the kernel.
        of_x: likewise for the gradient of x; None takes `form`.
    """

    @jax.custom_jvp
    def product(x, kernel):
        return form(x, kernel)

    @partial(product.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        (x, kernel), (dx, dkernel) = primals, tangents
        terms = []
        if not isinstance(dx, SymbolicZero):
            terms.append((of_x or product)(dx, kernel))
        if not isinstance(dkernel, SymbolicZero):
            terms.append(of_kernel(x, dkernel))
        y = product(x, kernel)
        return y, reduce(jnp.add, terms) if terms else jnp.zeros_like(y)

    return product
