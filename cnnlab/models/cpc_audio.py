"""Network of contrastive predictive coding for sound: strided convolutions, then a GRU.

van den Oord, Li & Vinyals 2018, section 3.1. Five convolutions over time with ReLU, strides 5, 4,
2, 2, 2 and kernels of 10, 8, 4, 4, 4 samples, make one latent of every 160 samples (10 ms at 16
kHz), each seeing 465; a GRU (`layers/recurrent/gru.py`) runs over them. Shapes at the paper's size:

    20480    latents 128x1x512    context 128x1x256    features 256

Time goes where the rows of an image's grid are, so that `cpc` predicts along it. A probe of the
paper reads the context, and the features are its mean over time.
Deviation: waveforms whose length is no multiple of the hop lose what is left over.
"""

from collections import OrderedDict

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.layers.activations import relu
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.recurrent.gru import GRU
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import classify, scaled


class CPCAudio(nn.Module):
    """Endpoints: conv1, ..., latents, context, features (the mean of the context), logits.

    Attributes:
        strides: samples, or steps of the layer below, from one output to the next.
        kernels: samples or steps that an output sees.
        channels: of every convolution.
        context: size of the GRU's state.
        reset: of the GRU: "before" the product with the state (the paper's) or "after".
        width: factor on channels and context.
        num_classes: number of logits; 0 returns the features.
        dtype: of the computation; parameters and output are float32.
    """

    strides: tuple[int, ...] = (5, 4, 2, 2, 2)
    kernels: tuple[int, ...] = (10, 8, 4, 4, 4)
    channels: int = 512
    context: int = 256
    reset: str = "before"
    width: float = 1.0
    num_classes: int = 0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, waveforms: Float[Array | np.ndarray, "b t"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the features, or with classes the logits, and the endpoints.

        Raises:
            UserError: for inputs that are no waveforms or shorter than the hop, or fields that
                do not fit each other.
        """
        if waveforms.ndim != 2:
            raise UserError(f"cpc_audio takes waveforms [b, time], not {waveforms.shape}")
        if len(self.strides) != len(self.kernels) or not self.strides:
            raise UserError(
                f"model.strides={self.strides} and model.kernels={self.kernels}: need one number "
                "each for every convolution"
            )
        hop = int(np.prod(self.strides))
        steps = waveforms.shape[1] // hop
        if not steps:
            raise UserError(
                f"cpc_audio: waveforms of {waveforms.shape[1]} samples are shorter than the hop "
                f"of {hop}"
            )
        dtype = jnp.dtype(self.dtype)
        endpoints: OrderedDict[str, Array] = OrderedDict()
        x = jnp.asarray(waveforms, dtype)[:, : steps * hop, None]
        for i, (stride, kernel) in enumerate(zip(self.strides, self.kernels, strict=True), 1):
            filters = scaled(self.channels, self.width)
            x = relu(Conv(filters, (kernel,), stride=stride, dtype=dtype, name=f"conv{i}")(x))
        endpoints["latents"] = x[:, :, None]
        gru = GRU(
            scaled(self.context, self.width),
            reset=self.reset,
            dtype=dtype,
            name="context",
        )
        context = gru(x)
        endpoints["context"] = context[:, :, None]
        return classify(
            context.mean(axis=1),
            endpoints,
            num_classes=self.num_classes,
            dropout=0.0,
            train=train,
            dtype=dtype,
        )


PAPER = "van den Oord et al. 2018, section 3.1"
MODELS = {"cpc_audio": Architecture(CPCAudio, PAPER, (20480,))}
