"""PANNs: convolutional networks on log-mel spectrograms, for sound.

Kong, Cao, Iqbal, Wang, Wang & Plumbley 2020, "PANNs: Large-Scale Pretrained Audio Neural Networks
for Audio Pattern Recognition", section II and table I. Ten seconds at 32 kHz:

    waveform 320000 - log-mel 1001x64 - block1 500x32x64 - block2 250x16x128 - block3 125x8x256 -
    block4 62x4x512 - (cnn14: block5 31x2x1024, block6 31x2x2048) - mean over frequency, mean and
    maximum over time added - dense - features - logits

A block is one 5x5 convolution (cnn6) or two 3x3 (cnn10, cnn14) with BatchNorm and ReLU, then mean
pooling. Parameters with AudioSet's 527 classes: 4,837,455, 5,219,279 and 80,753,615. SpecAugment
(Park et al. 2019) masks two bands of mels and two stretches of time of each training example.
The networks take waveforms of any length that leaves a frame after the last pooling.
"""

from collections import OrderedDict
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from cnnlab.errors import UserError
from cnnlab.layers.activations import relu
from cnnlab.layers.convolution.conv import Conv
from cnnlab.layers.dropout import Dropout
from cnnlab.layers.initializers import xavier_uniform
from cnnlab.layers.pooling.pool import avg_pool
from cnnlab.layers.spectrogram import decibels, mel_filters, spectrogram
from cnnlab.models.architecture import Architecture
from cnnlab.models.parts import classify, norm_layer, scaled

POOLED = 5  # blocks; the sixth keeps its size
STRIPES = 2  # of each kind that SpecAugment masks


class PANN(nn.Module):
    """Endpoints: log_mel, block1, ..., pooled, features, logits.

    Attributes:
        num_classes: number of logits; 0 returns the features.
        channels: of the convolutions of each block.
        kernels: lengths of the windows of a block, one for each of its convolutions.
        rate: samples a second of the waveforms.
        window: samples in a frame of the spectrogram.
        hop: samples from one frame to the next.
        mels: bands of the spectrogram.
        low: Hz where the first begins.
        high: Hz where the last ends; 0 for half the rate.
        time_mask: frames that SpecAugment masks at most, each time; 0 for none.
        mel_mask: bands that it masks at most; 0 for none.
        width: factor on the number of channels.
        dropout: share of values set to zero before the classifier; after each block it is 0.4 of
            that (the paper's 0.5 and 0.2).
        norm: "batch" or "group" for a norm after each convolution; "" for none.
        norm_axis_name: mapped axis over which BatchNorm shares statistics; "" for none.
        dtype: of the computation after the spectrogram; parameters and output are float32.
    """

    num_classes: int = 527
    channels: tuple[int, ...] = (64, 128, 256, 512)
    kernels: tuple[int, ...] = (3, 3)
    rate: int = 32_000
    window: int = 1024
    hop: int = 320
    mels: int = 64
    low: float = 50.0
    high: float = 14_000.0
    time_mask: int = 64
    mel_mask: int = 8
    width: float = 1.0
    dropout: float = 0.5
    norm: str = "batch"
    norm_axis_name: str = ""
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, waveforms: Float[Array | np.ndarray, "b t"], train: bool = False
    ) -> tuple[Float[Array, "b k"], OrderedDict[str, Array]]:
        """Return the logits and the endpoints.

        Raises:
            UserError: for inputs that are no waveforms, or too short for the poolings, and as
                `spectrogram` and `mel_filters`.
        """
        if waveforms.ndim != 2:
            raise UserError(f"PANNs take waveforms [b, time], not {waveforms.shape}")
        dtype = jnp.dtype(self.dtype)
        norm = partial(norm_layer, train=train, axis_name=self.norm_axis_name)
        endpoints: OrderedDict[str, Array] = OrderedDict()
        samples = jnp.asarray(waveforms, jnp.float32)
        power = spectrogram(samples, window=self.window, hop=self.hop, center=True)
        filters = mel_filters(self.rate, self.window, self.mels, low=self.low, high=self.high)
        x = endpoints["log_mel"] = decibels(jnp.matmul(power, filters, precision="highest"))
        smallest = 2 ** min(len(self.channels), POOLED)
        if min(x.shape[1:]) < smallest:
            raise UserError(
                f"PANNs: {x.shape[1]} frames of {x.shape[2]} bands are too small, "
                f"{len(self.channels)} blocks need {smallest} of each: take longer waveforms or a "
                "shorter model.hop"
            )
        # Of each band of mels.
        x = norm("batch")(name="log_mel_norm")(x)
        if train and (self.time_mask or self.mel_mask):
            x = spec_augment(x, self.make_rng("dropout"), (self.time_mask, self.mel_mask))
        x = x[..., None].astype(dtype)
        for n, channels in enumerate(self.channels, 1):
            for m, kernel in enumerate(self.kernels, 1):
                name = f"conv{n}_{m}"
                x = Conv(
                    scaled(channels, self.width),
                    (kernel, kernel),
                    padding=kernel // 2,
                    use_bias=False,
                    kernel_init=xavier_uniform,
                    dtype=dtype,
                    name=name,
                )(x)
                x = relu(norm(self.norm, dtype=dtype)(name=f"{name}_norm")(x))
            if n <= POOLED:
                x = avg_pool(x, 2, 2)
            endpoints[f"block{n}"] = x
            x = Dropout(0.4 * self.dropout)(x, train)
        x = x.mean(axis=2)
        x = endpoints["pooled"] = x.mean(axis=1) + x.max(axis=1)
        x = Dropout(self.dropout)(x, train)
        units = scaled(self.channels[-1], self.width)
        dense = nn.Dense(units, dtype=dtype, kernel_init=xavier_uniform, name="dense")
        return classify(
            relu(dense(x)),
            endpoints,
            num_classes=self.num_classes,
            dropout=self.dropout,
            train=train,
            dtype=dtype,
            kernel_init=xavier_uniform,
        )


def spec_augment(
    x: Float[Array, "b n m"], key: Key[Array, ""], widths: tuple[int, int]
) -> Float[Array, "b n m"]:
    """Return spectrograms with stretches of time and bands of frequency set to 0.

    Args:
        x: spectrograms, frames by bands.
        key: random key.
        widths: frames and bands below which each width is drawn, all alike.
    """
    keys = jax.random.split(key, (2, STRIPES, 2))
    for axis, most in enumerate(widths):
        length = x.shape[axis + 1]
        places = jnp.arange(length)
        for stripe in range(STRIPES if most else 0):
            of_width, of_start = keys[axis, stripe]
            width = jax.random.randint(of_width, (len(x), 1), 0, min(most, length))
            start = jax.random.randint(of_start, (len(x), 1), 0, length - width)
            kept = (places < start) | (places >= start + width)
            x = x * jnp.expand_dims(kept, 2 - axis)
    return x


PAPER = "Kong et al. 2020, table I"
CNN14 = (64, 128, 256, 512, 1024, 2048)
MODELS = {
    "panns_cnn6": Architecture(PANN, PAPER, (320_000,), {"kernels": (5,)}),
    "panns_cnn10": Architecture(PANN, PAPER, (320_000,)),
    "panns_cnn14": Architecture(PANN, PAPER, (320_000,), {"channels": CNN14}),
}
