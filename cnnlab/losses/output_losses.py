"""Output activations (linear, sigmoid, softmax) and the loss that belongs to each.

Each loss takes the output before the activation and is the negative log-likelihood of a
distribution whose parameter is the activated output:

- linear + mean squared error: a Gaussian's mean;
- sigmoid + binary cross-entropy: probabilities of Bernoulli variables (multi-label);
- softmax + negative log-likelihood: probabilities of a multinomial. The lecture's table calls
  this row multi-label; it is multi-class.

"map" is not in the table: the criterion LeNet-5 was trained with, a softmax with one class more.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from cnnlab.losses.classification import (
    map_criterion,
    rubbish_softmax,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
)
from cnnlab.losses.regression import squared_error


class Objective(NamedTuple):
    """A row of the table.

    Attributes:
        activation: output of the model -> parameter of the distribution; over the last axis.
        loss: (output of the model, target) -> a number an example.
    """

    activation: Callable[[Any], Any]
    loss: Callable[..., Any]


def linear(output: Any) -> Any:
    """Return the output as it is."""
    return output


OBJECTIVES: dict[str, Objective] = {
    "linear": Objective(linear, squared_error),
    "sigmoid": Objective(jax.nn.sigmoid, sigmoid_cross_entropy),
    "softmax": Objective(jax.nn.softmax, softmax_cross_entropy),
    "map": Objective(rubbish_softmax, map_criterion),
}
