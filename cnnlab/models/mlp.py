"""Multilayer perceptron: dense layers on the flattened image, blind to its two dimensions.

Rumelhart, Hinton & Williams 1986. Dropout after each hidden layer: Srivastava et al. 2014.
Images [b, h, w, c] (or any [b, ...]) -> logits [b, num_classes].
Parameters: the sum of (inputs + 1) * outputs over the layers.
"""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.layers.activations import ACTIVATIONS
from cnnlab.layers.dropout import Dropout
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import classify, stage
from cnnlab.utils.registry import pick


class MLP(nn.Module):
    """Endpoints: hidden1, hidden2, ..., features, logits.

    Attributes:
        hidden: widths of the hidden layers; () is a linear classifier.
        num_classes: number of logits; 0 returns the features.
        activation: "relu", "tanh" or "scaled_tanh".
        dropout: share of each hidden layer set to zero in training, from the rng "dropout".
        norm: "batch" for BatchNorm before each activation, in place of the bias; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation; parameters and logits are float32.
    """

    hidden: Sequence[int] = (512, 512)
    num_classes: int = 10
    activation: str = "relu"
    dropout: float = 0.0
    norm: str = ""
    norm_axis_name: str = ""
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, images: Float[Array | np.ndarray, "b *rest"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the logits and the endpoints, each after its activation and dropout."""
        activation = pick(ACTIVATIONS, self.activation, "activation of the mlp")
        dtype = jnp.dtype(self.dtype)
        endpoints: OrderedDict[str, Array] = OrderedDict()
        apply_stage = partial(
            stage,
            activation=activation,
            norm=self.norm,
            norm_axis_name=self.norm_axis_name,
            train=train,
            dtype=dtype,
        )
        x = jnp.asarray(images, dtype).reshape(images.shape[0], -1)
        for n, width in enumerate(self.hidden, 1):
            x = apply_stage(x, partial(nn.Dense, width), name=f"hidden{n}")
            x = endpoints[f"hidden{n}"] = Dropout(self.dropout)(x, train)
        # Each hidden layer has had its dropout.
        return classify(
            x, endpoints, num_classes=self.num_classes, dropout=0.0, train=train, dtype=dtype
        )


MODELS = {"mlp": Architecture(MLP, "Rumelhart, Hinton & Williams 1986", (32, 32, 1))}
