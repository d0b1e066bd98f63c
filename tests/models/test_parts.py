"""What architectures share: norms by name, widths, the classifier, sizes of images."""

from collections import OrderedDict

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.models.parts import check_images, classify, norm_layer, scaled

X = jax.random.normal(jax.random.key(0), (2, 3, 3, 6)) * 4 + 1


class Normed(nn.Module):
    kind: str

    @nn.compact
    def __call__(self, x):
        return norm_layer(self.kind, train=True, epsilon=0.0)(name="norm")(x)


def normed(kind, x):
    model = Normed(kind)
    return model.apply(model.init(jax.random.key(0), x), x, mutable=["batch_stats"])[0]


def standardized(x, axes):
    x = np.asarray(x, np.float64)
    return (x - x.mean(axes, keepdims=True)) / x.std(axes, keepdims=True)


def test_batch_norm_is_over_the_batch_and_group_norm_over_the_channels_of_an_image():
    np.testing.assert_allclose(normed("batch", X), standardized(X, (0, 1, 2)), atol=1e-5)
    # 32 groups and 6 channels have 2 groups in common.
    groups = standardized(np.reshape(X, (2, 9, 2, 3)), (1, 3)).reshape(X.shape)
    np.testing.assert_allclose(normed("group", X), groups, atol=1e-5)
    layer = standardized(np.asarray(X), (1, 2, 3))
    np.testing.assert_allclose(normed("layer", X), layer, atol=1e-5)
    np.testing.assert_array_equal(normed("", X), X)


@pytest.mark.parametrize(
    ("channels", "width", "multiple", "expected"),
    [(64, 1.0, 1, 64), (64, 0.25, 1, 16), (10, 0.25, 1, 2), (64, 0.001, 1, 1), (96, 0.5, 32, 64)],
)
def test_scaled_widths_are_rounded_to_a_multiple_above_0(channels, width, multiple, expected):
    assert scaled(channels, width, multiple) == expected


class Head(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, train=False):
        settings = dict(num_classes=self.num_classes, dropout=0.5, train=train, dtype=x.dtype)
        return classify(x, OrderedDict(before=x), **settings)


def test_the_classifier_sees_the_features_after_dropout():
    x = jnp.ones((4, 100), jnp.bfloat16)
    model = Head(3)
    variables = model.init(jax.random.key(0), x)
    logits, endpoints = model.apply(variables, x, train=True, rngs={"dropout": jax.random.key(1)})
    assert list(endpoints) == ["before", "features", "logits"] and logits.dtype == jnp.float32
    assert set(np.unique(endpoints["features"].astype(np.float32))) == {0.0, 2.0}
    kernel = variables["params"]["logits"]["kernel"]
    expected = endpoints["features"].astype(jnp.float32) @ kernel
    np.testing.assert_allclose(logits, expected, atol=0.05)


def test_without_classes_the_features_are_the_output():
    x = jnp.ones((4, 5), jnp.bfloat16)
    output, endpoints = Head(0).apply({}, x)
    assert output.dtype == jnp.float32 and "logits" not in endpoints
    np.testing.assert_array_equal(output, x)


def test_images_need_four_axes_and_enough_pixels():
    check_images(np.zeros((1, 8, 9, 3)), 8, "net")
    with pytest.raises(UserError, match=r"net takes images \[b, height, width, channels\], not"):
        check_images(np.zeros((8, 9, 3)), 8, "net")
    with pytest.raises(UserError, match="images of 8x7 are too small, it needs 8x8"):
        check_images(np.zeros((1, 8, 7, 3)), 8, "net")
