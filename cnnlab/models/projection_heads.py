"""Projector and predictor: the multilayer perceptrons between an encoder and its objective.

Chen et al. 2020 (SimCLR), section 4.2; Grill et al. 2020 (BYOL), section 3.3; Chen & He 2020
(SimSiam), section 3. Embeddings [b, d] -> [b, widths[-1]], each hidden layer with BatchNorm and
ReLU:

    linear - norm - relu - ... - linear (- norm)

What comes after the last linear layer is what the papers differ in, see `LAST_NORMS`.
Parameters: hidden1, hidden1_norm, ..., output, output_norm.

Deviation: a linear layer before a BatchNorm has no bias, which the norm would take away (BYOL's
and VICReg's code have one, without effect).
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.activations import relu
from cnnlab.layers.initializers import he_normal, lecun_normal
from cnnlab.layers.normalization.batch_norm import BatchNorm
from cnnlab.utils.registry import pick

# Arguments of the BatchNorm after the last layer, for each that has one.
LAST_NORMS: dict[str, dict[str, Any]] = {
    "": {},
    "scale": {"use_bias": False},
    "plain": {"use_bias": False, "use_scale": False},
}


class MLPHead(nn.Module):
    """Multilayer perceptron with BatchNorm on vectors.

    Attributes:
        widths: outputs of each layer; the last has no activation.
        last_norm: after the last layer: "" for none (BYOL, VICReg, Barlow Twins), "scale" for a
            BatchNorm without bias (SimCLR's code), "plain" for one without bias and scale
            (SimSiam).
        last_bias: whether the last layer has a bias (SimSiam's predictor).
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation; parameters and output are float32.
    """

    widths: tuple[int, ...]
    last_norm: str = ""
    last_bias: bool = False
    norm_axis_name: str = ""
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b d"], train: bool = False) -> Float[Array, "b k"]:
        """Return the output of the last layer, float32 or wider.

        Raises:
            UserError: for no widths, one below 1, or an unknown `last_norm`.
        """
        last_norm = pick(LAST_NORMS, self.last_norm, "last_norm")
        if not self.widths or min(self.widths) < 1:
            raise UserError(f"a head of widths {tuple(self.widths)}: needs one or more, each >= 1")
        dtype = jnp.dtype(self.dtype)

        def norm(x, name, **given):
            return BatchNorm(
                train=train, axis_name=self.norm_axis_name, dtype=dtype, name=name, **given
            )(x)

        x = x.astype(dtype)
        for n, width in enumerate(self.widths[:-1], 1):
            x = nn.Dense(
                width, use_bias=False, dtype=dtype, kernel_init=he_normal, name=f"hidden{n}"
            )(x)
            x = relu(norm(x, f"hidden{n}_norm"))
        x = nn.Dense(
            self.widths[-1],
            use_bias=self.last_bias,
            dtype=dtype,
            kernel_init=lecun_normal,
            name="output",
        )(x)
        if self.last_norm:
            x = norm(x, "output_norm", **last_norm)
        return x.astype(jnp.promote_types(dtype, jnp.float32))
