"""Classifiers that are fitted to raw pixels without gradients.

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
        scores = _nearest(self, x)
        return scores, {"features": x, "logits": scores}

    def fit(self, inputs: Inputs, labels: Labels) -> dict[str, PyTree]:
        """Store the training set."""
        rows = inputs.reshape(len(inputs), -1)
        return {"params": {}, "memory": {"inputs": rows, "labels": labels}}


class Eigenfaces(nn.Module):
    """Predicts as `NearestNeighbor` on principal components (Turk & Pentland 1991).

    Attributes:
        num_classes: number of outputs, as of `NearestNeighbor`.
        components: directions of largest variance; the endpoint "features" is the coordinates.
    """

    num_classes: int = 10
    components: int = 40

    @nn.compact
    def __call__(self, inputs: Float[Array, "b *rest"]) -> tuple[Float[Array, "b k"], dict]:
        """Return the scores and the endpoints."""
        x = inputs.reshape(len(inputs), -1)
        pixels = x.shape[1]
        mean = self.variable("memory", "mean", jnp.zeros, (pixels,)).value
        basis = self.variable("memory", "basis", jnp.zeros, (pixels, self.components)).value
        x = jnp.matmul(x - mean, basis, precision="highest")
        scores = _nearest(self, x)
        return scores, {"features": x, "logits": scores}

    def fit(self, inputs: Inputs, labels: Labels) -> dict[str, PyTree]:
        """Return mean, directions, and the coordinates of the training set.

        Raises:
            UserError: more components than examples or pixels.
        """
        rows = inputs.reshape(len(inputs), -1)
        if not 1 <= self.components <= min(rows.shape):
            raise UserError(
                f"model.components={self.components}: need 1 to {min(rows.shape)}, the number of "
                "training examples or of pixels"
            )
        mean = rows.mean(axis=0)
        basis = np.linalg.svd(rows - mean, full_matrices=False)[2][: self.components].T
        coordinates = (rows - mean) @ basis
        memory = {"mean": mean, "basis": basis, "inputs": coordinates, "labels": labels}
        return {"params": {}, "memory": memory}


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


def _nearest(module: nn.Module, x: Float[Array, "b d"]) -> Float[Array, "b k"]:
    """Return minus the squared distances to the nearest example of each class that it remembers."""
    known = module.variable("memory", "inputs", jnp.zeros, x.shape).value
    labels = module.variable("memory", "labels", jnp.zeros, x.shape[:1], jnp.int32).value
    if module.is_initializing():
        # Not all distances of the training set to itself.
        return jnp.zeros((len(x), module.num_classes))
    near = -squared_euclidean(x, known)
    scores = jax.ops.segment_max(near.T, labels, module.num_classes).T
    return jnp.maximum(scores, ABSENT)
