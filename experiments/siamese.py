"""Siamese networks: two towers with shared weights decide if two inputs have the same class.

- "verification": Koch, Zemel & Salakhutdinov 2015, sections 3.1 and 3.2. A learned, weighted L1
  distance of the towers' outputs, p(same) = sigmoid(sum_j alpha_j |h1_j - h2_j| + bias), trained by
  binary cross-entropy. The paper's L2 penalty is the optimizer's weight decay.
- "contrastive": Hadsell, Chopra & LeCun 2006. Pairs of one class are pulled together, others are
  pushed apart up to a Euclidean distance of `margin`, which prevents collapse.

First by Bromley et al. 1993. Batches are pairs (`data.train.sampler.name = "pairs"`): image
[b, 2, h, w, c], label [b, 2]; a pair is positive if its labels are equal. Both towers are one
module, called once on 2 b images, so that BatchNorm uses the same statistics for both. Evaluation
has single images and no loss: the evaluators measure the network.
Deviation: the head has a bias, which the formula of the paper does not have.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from cnnlab.errors import UserError
from cnnlab.layers.initializers import normal
from cnnlab.losses.classification import sigmoid_cross_entropy
from cnnlab.losses.contrastive import contrastive
from cnnlab.losses.distances import euclidean, paired_euclidean
from cnnlab.losses.reduce import masked_mean
from cnnlab.metrics.metric import Mean
from cnnlab.metrics.spread import embedding_std
from cnnlab.utils.registry import pick

from .base import Aux, Batch, Experiment

OBJECTIVES = {
    "verification": "a learned weighted L1 distance and binary cross-entropy (Koch et al. 2015)",
    "contrastive": "Euclidean distances and a margin (Hadsell et al. 2006)",
}
HEADS = {
    "koch": "weights N(0, 0.2) and a bias N(0.5, 0.01), as the paper's dense layers",
    "negative": "weights -|N(0, 0.1)| and a bias of 2.5",
}
# Maximum numbers in a block of differences: 64 MiB.
BLOCK = 2**24


def weighted_l1(difference: Float[Array, "*n d"], head: PyTree) -> Float[Array, "*n"]:
    """Return sum_j alpha_j |difference_j| + bias in float32: the logit of a positive pair.

    Args:
        difference: of the towers' outputs.
        head: `kernel` [d, 1], the alphas, and `bias` [1].
    """
    # A sum, not a matrix product, which accelerators would take in bfloat16.
    return jnp.sum(jnp.abs(difference) * head["kernel"][:, 0], axis=-1) + head["bias"][0]


def every_pair(head: PyTree) -> Callable[[Array, Array], Array]:
    """Return ([n, d], [m, d]) -> [n, m], `weighted_l1` of every pair, a block of rows at a time."""

    def compare(a: Float[Array, "n d"], b: Float[Array, "m d"]) -> Float[Array, "n m"]:
        rows = max(1, BLOCK // max(b.size, 1))
        return jax.lax.map(lambda row: weighted_l1(row - b, head), a, batch_size=rows)

    return compare


@dataclasses.dataclass(frozen=True)
class Siamese(Experiment):
    """Separate pairs of one class from others; the head is `params["verification"]`.

    Attributes:
        objective: "verification" or "contrastive".
        margin: distance beyond which negative pairs have no loss ("contrastive"); pairs closer than
            half of it are predicted to be positive.
        head: initial values of the head ("verification"): "koch", as the paper's dense layers, has
            weights N(0, 0.2) and a bias N(0.5, 0.01); "negative" has weights -|N(0, 0.1)| and a
            bias of 2.5, so that distant pairs are predicted to be negative from the start.
    """

    head_names: ClassVar[tuple[str, ...]] = ("verification",)

    objective: str = "verification"
    margin: float = 1.0
    head: str = "koch"
    group: int = 2
    groups: ClassVar[tuple[str, ...]] = ("pairs",)

    def __post_init__(self):
        """Check the hyper-parameters."""
        pick(OBJECTIVES, self.objective, "experiment.objective")
        pick(HEADS, self.head, "experiment.head")
        if self.margin <= 0:
            raise UserError(f"experiment.margin={self.margin}: needs to be above 0")

    def init(self, rng: Any, batch: Batch) -> dict[str, PyTree]:
        """Return the variables of the model and, for "verification", of the head."""
        variables = super().init(rng, batch)
        if self.objective != "verification":
            return variables
        apply = partial(self.model.apply, train=False)
        output, _ = jax.eval_shape(apply, variables, self.inputs(batch)[:1])
        weights, bias = jax.random.split(jax.random.fold_in(rng, 1))
        kernel = normal(weights, (output.shape[-1], 1), std=0.2)
        head = {"kernel": kernel, "bias": 0.5 + normal(bias, (1,), std=0.01)}
        if self.head == "negative":
            head = {"kernel": -jnp.abs(kernel) / 2, "bias": head["bias"] + 2}
        return {**variables, "params": {**variables["params"], "verification": head}}

    def similarity(self, params: PyTree) -> Callable[[Array, Array], Array]:
        """Return the logit, or minus the distance, of every pair."""
        # Compiled once for all blocks.
        if self.objective == "verification":
            return jax.jit(every_pair(params["verification"]))
        return jax.jit(lambda a, b: -euclidean(a, b))

    def targets(self) -> tuple[str, ...]:
        """Return the key of the labels."""
        return ("label",)

    def loss(
        self, params, model_state, batch, rng, *, train, axis_name
    ) -> tuple[Float[Array, ""], Aux]:
        """Return the mean loss over the pairs; 0 in evaluation, which has single images."""
        labels, valid = batch["label"], batch.get("valid")
        if not train:
            return jnp.zeros(()), Aux(model_state, {})
        output, _, model_state = self.apply(
            params, model_state, batch, rng, train=train, axis_name=axis_name
        )
        first, second = jnp.moveaxis(output.reshape(*labels.shape, -1), 1, 0)
        same = labels[:, 0] == labels[:, 1]
        distance = paired_euclidean(first, second)
        values, right = self._judge(params, first, second, distance, same)
        metrics = {
            "loss": Mean.of(values, valid),
            "accuracy": Mean.of(right, valid),
            "same_distance": Mean.of(distance, _both(same, valid)),
            "different_distance": Mean.of(distance, _both(~same, valid)),
        }
        if train:
            metrics["embedding_std"] = embedding_std(output, axis_name)
        return masked_mean(values, valid, axis_name), Aux(model_state, metrics)

    def _judge(self, params, first, second, distance, same):
        """Return the loss of each pair, and whether its prediction is right."""
        if self.objective == "verification":
            logits = weighted_l1(first - second, params["verification"])
            target = same.astype(jnp.float32)[:, None]
            return sigmoid_cross_entropy(logits[:, None], target), (logits > 0) == same
        return contrastive(distance, same, self.margin), (distance < self.margin / 2) == same


def _both(a: Bool[Array, " b"], valid: Bool[Array, " b"] | None) -> Bool[Array, " b"]:
    return a if valid is None else a & valid
