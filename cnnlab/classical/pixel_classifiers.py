"""Classifiers of raw pixels that are fitted without gradients: nearest neighbor and linear SVM.

Each is a Flax module with `fit(inputs, labels) -> variables`; the objective `fitted` trains it.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from cnnlab.errors import UserError
from cnnlab.losses.distances import squared_euclidean

# The score of a class without training examples: finite, and below every other.
ABSENT = -1e9

Inputs = Float[np.ndarray, "n *rest"]
Labels = Int[np.ndarray, "n"]


class NearestNeighbor(nn.Module):
    """Predicts the class of the nearest training example in Euclidean distance (Fix & Hodges 1951).

    Its variables hold the training set, so that `init` needs a batch of that many rows.

    Attributes:
        num_classes: number of outputs; each is minus the squared distance to the nearest example
            of its class.
    """

    num_classes: int = 10

    @nn.compact
    def __call__(self, inputs: Float[Array, "b *rest"]) -> tuple[Float[Array, "b k"], dict]:
        """Return the scores, and the flattened inputs as the endpoint "features"."""
        x = inputs.reshape(len(inputs), -1)
        known = self.variable("memory", "inputs", jnp.zeros, x.shape).value
        labels = self.variable("memory", "labels", jnp.zeros, x.shape[:1], jnp.int32).value
        if self.is_initializing():
            # Not all distances of the training set to itself.
            scores = jnp.zeros((len(x), self.num_classes))
        else:
            near = -squared_euclidean(x, known)
            scores = jax.ops.segment_max(near.T, labels, self.num_classes).T
            scores = jnp.maximum(scores, ABSENT)
        return scores, {"features": x, "logits": scores}

    def fit(self, inputs: Inputs, labels: Labels) -> dict[str, PyTree]:
        """Store the training set."""
        rows = inputs.reshape(len(inputs), -1)
        return {"params": {}, "memory": {"inputs": rows, "labels": labels}}


class LinearSVM(nn.Module):
    """Predicts the class of the largest linear score, one classifier against the rest each.

    Cortes & Vapnik 1995, with the squared hinge loss; fitted by LIBLINEAR (Fan et al. 2008).

    Attributes:
        num_classes: number of outputs.
        c: weight of the hinge loss beside the squared norm of the weights.
    """

    num_classes: int = 10
    c: float = 1.0

    @nn.compact
    def __call__(self, inputs: Float[Array, "b *rest"]) -> tuple[Float[Array, "b k"], dict]:
        """Return the scores, and the flattened inputs as the endpoint "features"."""
        x = inputs.reshape(len(inputs), -1)
        scores = nn.Dense(self.num_classes, name="logits", precision="highest")(x)
        return scores, {"features": x, "logits": scores}

    def fit(self, inputs: Inputs, labels: Labels) -> dict[str, PyTree]:
        """Return weights and biases.

        Raises:
            UserError: fewer than two classes, or a `c` that is not above 0.
        """
        from sklearn.svm import LinearSVC

        if not self.c > 0:
            raise UserError(f"model.c={self.c}: needs to be above 0")
        if len(np.unique(labels)) < 2:
            raise UserError("a linear SVM needs training examples of at least two classes")
        rows = inputs.reshape(len(inputs), -1)
        found = LinearSVC(C=self.c, dual=False, max_iter=10_000).fit(rows, labels)
        weights, biases = found.coef_, found.intercept_
        if len(weights) == 1:
            # Of two classes there is the second one's.
            weights, biases = np.concatenate([-weights, weights]), np.append(-biases, biases)
        kernel = np.zeros((rows.shape[1], self.num_classes), np.float32)
        bias = np.full(self.num_classes, ABSENT, np.float32)
        kernel[:, found.classes_], bias[found.classes_] = weights.T, biases
        return {"params": {"logits": {"kernel": kernel, "bias": bias}}}
