"""What is said of a layer is what it is."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.layers.catalog.describe import compare, describe, parameters
from cnnlab.layers.catalog.layer import Layer, normal


class Scaled(nn.Module):
    """Dense layer and a running count.

    More about it.

    Attributes:
        features: number of outputs.
    """

    features: int
    use_bias: bool = True
    kernel_init: object = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x):
        self.variable("counts", "calls", lambda: jnp.zeros((), jnp.int32))
        return nn.Dense(self.features, use_bias=self.use_bias, kernel_init=self.kernel_init)(x)


ROW = np.array([[1.0, 2.0]])


def layer(computed=ROW, expected=ROW, **attributes):
    return Layer(
        lambda: Scaled(3, **attributes),
        normal(5),
        "Someone 2000, equation 1",
        "y[i] = x[j] w[j, i]",
        # Lists of numbers do as well as arrays.
        lambda: (np.array(computed), expected),
    )


def test_everything_is_said():
    text = describe("scaled", layer(use_bias=False))
    lines = text.splitlines()
    assert lines[:2] == [f"scaled: Scaled in {__name__}", "  Dense layer and a running count."]
    assert "More about it" not in text
    assert "paper       Someone 2000, equation 1" in lines
    assert "formula     y[i] = x[j] w[j, i]" in lines
    assert "  features         3" in lines
    assert "  use_bias         False (default: True)" in lines
    assert "  kernel_init      variance_scaling (default)" in lines
    assert "input       [8, 5] float32" in lines
    assert "output      [8, 3] float32" in lines
    assert "parameters  15" in lines
    assert "  Dense_0.kernel   [5, 3]" in lines
    assert "  calls            [] (counts, not trained)" in lines
    assert lines[-4:] == ["example, computed", "  [[1. 2.]]", "example, expected", "  [[1. 2.]]"]


def test_only_what_is_trained_counts():
    assert parameters(layer()) == 5 * 3 + 3
    assert parameters(layer(use_bias=False)) == 5 * 3


@pytest.mark.parametrize(
    ("computed", "expected", "verdict"),
    [
        ([1.0, 2.0], [1.0, 2.00001], (True, "ok")),
        ([1.0, 2.0], [1.0, 2.1], (False, "off by 0.048")),
        ([100.0], [100.005], (True, "ok")),
        ([0.001], [0.003], (False, "off by 0.002")),
        ([1.0], [1.0, 1.0], (False, "shapes [(1,)], expected [(2,)]")),
        ([np.nan], [1.0], (False, "not a number")),
        ([[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]], (True, "ok")),
    ],
)
def test_worked_example_is_compared(computed, expected, verdict):
    assert compare(layer(computed, expected)) == verdict


def test_examples_of_several_arrays_are_compared_one_by_one():
    several = layer()
    object.__setattr__(
        several, "example", lambda: ((np.ones(2), np.zeros(3)), (np.ones(2), np.ones(3)))
    )
    assert compare(several) == (False, "off by 1")
