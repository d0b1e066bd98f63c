"""Windows of pooling layers: their arguments checked, with defaults and messages of pooling."""

import numpy as np
from jaxtyping import Array, Shaped

from cnnlab.errors import UserError
from cnnlab.layers.convolution.padding import Padding
from cnnlab.layers.convolution.windows import PerAxis, Windows, windows


def windows_of(
    x: Shaped[Array | np.ndarray, "..."],
    window: PerAxis,
    stride: PerAxis | None = None,
    padding: Padding = "VALID",
    *,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    layer: str,
) -> Windows:
    """Return the windows over `x` [*batch, *spatial, c].

    Args:
        x: input; of its spatial axes, those before the last, there are as many as numbers in
            `window`, and two if it is a single number.
        window: taps along each axis.
        stride: steps between windows; None takes the window.
        padding: see `padding.pads_of`.
        dilation: distance of taps.
        ceil_mode: whether a last window may hang over the end (Caffe); not one that starts in
            the padding (PyTorch).
        layer: name for errors.

    Raises:
        UserError: for numbers that cannot be, a rank that does not fit, a window larger than the
            padded input, or padding that fills a window.
    """
    axes = 2 if isinstance(window, int) else len(window)
    if not 1 <= axes <= 3:
        raise UserError(f"{layer}: window={window} needs numbers for 1 to 3 axes")
    if x.ndim < axes + 1:
        raise UserError(
            f"{layer}: x {x.shape} needs {axes} spatial axes and channels for window={window} "
            "(a single number is for two axes; a sequence has one for each)"
        )
    size = x.shape[-1 - axes : -1]
    over = windows(
        size,
        window,
        stride=window if stride is None else stride,
        padding=padding,
        dilation=dilation,
        layer=layer,
        ceil=ceil_mode,
    )
    for i, k, s, d, (low, high), o in zip(
        size, over.taps, over.stride, over.dilation, over.pads, over.out, strict=True
    ):
        read = np.arange(o)[:, None] * s + np.arange(k) * d - low
        if not ((read >= 0) & (read < i)).any(1).all():
            raise UserError(
                f"{layer}: padding {(low, high)} around {i} values leaves a window of {k} nothing "
                "but padding: use less of it or a larger window"
            )
    return over
