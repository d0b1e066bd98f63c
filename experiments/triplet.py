"""Triplet loss: an anchor is closer to its own class than to any other, by a margin.

Schroff, Kalenichenko & Philbin 2015 (FaceNet), section 3; Hermans, Beyer & Leibe 2017 (batch-hard
and batch-all mining, the soft margin); Weinberger, Blitzer & Saul 2006 (large-margin neighbors).

    L = max(d(a, p) - d(a, n) + margin, 0)

Batches are images [b, h, w, c] and labels [b], best of P classes with K examples each
(`data.train.sampler.name = "classes"`). The model's output [b, d] (`num_classes` = d) is the
embedding; anchors, positives and negatives are mined among those of the whole global batch.
Deviation: FaceNet adds random negatives to its batches; here all images are of the P classes.
"""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float

from cnnlab.errors import UserError
from cnnlab.losses.distances import DISTANCES, unit
from cnnlab.losses.mining import MINING
from cnnlab.losses.triplet import triplet
from cnnlab.metrics.metric import Mean
from cnnlab.metrics.spread import embedding_std
from cnnlab.utils.registry import pick

from .base import Aux, Experiment

AVERAGES = {"active": "over the triplets with a loss above 0", "all": "over all mined triplets"}


@dataclasses.dataclass(frozen=True)
class Triplet(Experiment):
    """Learn an embedding that separates classes; fields are arguments of `losses.triplet.triplet`.

    Attributes:
        distance: "squared" (FaceNet's, on the unit sphere), "euclidean" or "cosine".
        mining: "semi_hard", "batch_hard", "batch_all" or "hardest_negative".
        margin: minimum of d(a, n) - d(a, p) without a loss, in units of the distance.
        soft: softplus(d(a, p) - d(a, n)) in place of the hinge, without a margin.
        average: over the triplets with a loss above 0, "active", or over "all" mined ones.
        normalize: put embeddings on the unit sphere.
        chunk: anchors compared at a time, to save memory; 0: all at once.
    """

    distance: str = "squared"
    mining: str = "semi_hard"
    margin: float = 0.2
    soft: bool = False
    average: str = "active"
    normalize: bool = True
    chunk: int = 0
    group: int = 0
    groups: ClassVar[tuple[str, ...]] = ("single", "pairs", "views")

    def __post_init__(self):
        """Check the hyper-parameters."""
        pick(DISTANCES, self.distance, "experiment.distance")
        pick(MINING, self.mining, "experiment.mining")
        pick(AVERAGES, self.average, "experiment.average")
        if self.margin < 0 or self.chunk < 0:
            raise UserError(
                f"experiment.margin={self.margin}, chunk={self.chunk}: both need to be 0 or more"
            )

    def embedding(self, output: Float[Array, "b d"]) -> Float[Array, "b d"]:
        """Return the output in float32, with `normalize` divided by its length."""
        return unit(output) if self.normalize else output.astype(jnp.float32)

    def targets(self) -> tuple[str, ...]:
        """Return the key of the labels."""
        return ("label",)

    def loss(
        self, params, model_state, batch, rng, *, train, axis_name
    ) -> tuple[Float[Array, ""], Aux]:
        """Return the loss over the mined triplets of the global batch.

        In evaluation the triplets are those within each batch, so the loss depends on how the
        split is cut into batches; it serves to compare runs.
        """
        output, _, model_state = self.apply(
            params, model_state, batch, rng, train=train, axis_name=axis_name
        )
        embeddings = self.embedding(output)
        # The members of a pair have a label each, the views of an image one together.
        labels = batch["label"].reshape(-1)
        labels = jnp.repeat(labels, len(embeddings) // len(labels))
        value, stats = triplet(
            embeddings,
            labels,
            distance=self.distance,
            mining=self.mining,
            margin=self.margin,
            soft=self.soft,
            average=self.average,
            valid=batch.get("valid"),
            axis_name=axis_name,
            chunk=self.chunk,
        )
        metrics: dict[str, Any] = {
            "loss": Mean.of(value[None]),
            "active": stats.active,
            "positive_distance": stats.positive_distance,
            "negative_distance": stats.negative_distance,
        }
        if train:
            metrics["embedding_std"] = embedding_std(embeddings, axis_name)
        return value, Aux(model_state, metrics)
