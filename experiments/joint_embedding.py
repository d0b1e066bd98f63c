"""Joint-embedding methods: two augmented views of an image are trained to have the same embedding.

A loss that only pulls the views together has a trivial solution, one constant output for all images
(collapse). The `method` decides what prevents it:

    no_negatives  nothing: |z1 - z2|^2 of the normalized outputs; collapses
    nt_xent       negatives: all other images of the batch (SimCLR, Chen et al. 2020, eq. 1)
    simsiam       a predictor and a stop-gradient (Chen & He 2020, algorithm 1)
    byol          a predictor and a momentum teacher (Grill et al. 2020, eq. 2)
    vicreg        regularized variance and covariance (Bardes et al. 2022, eq. 6)
    barlow        a cross-correlation near the identity (Zbontar et al. 2021, eq. 1)

An encoder (a model with num_classes=0) computes features, and a projector computes the embeddings z
of the loss from them. The representation, which `embedding` returns, are the features, as in all of
these papers. Batches: image [b, 2, h, w, c].

Deviations: SimCLR's projector ends with a BatchNorm without bias, as its code has and its paper
does not say; a linear layer before a BatchNorm has no bias in any of them (`projection_heads.py`).
"""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from cnnlab.errors import UserError
from cnnlab.losses import vicreg_barlow
from cnnlab.losses.distances import unit
from cnnlab.losses.nt_xent import nt_xent
from cnnlab.metrics.metric import Mean
from cnnlab.metrics.spread import embedding_std
from cnnlab.models.projection_heads import MLPHead
from cnnlab.utils.registry import pick

from . import teacher as teachers
from .base import Aux, Batch, Experiment

VIEWS = 2
Pair = tuple[Any, Any]


class Outputs(NamedTuple):
    """Arguments of a loss: a pair of arrays [b, d], one a view.

    Attributes:
        projections: outputs of the projector.
        predictions: outputs of the predictor, if the method has one.
        targets: targets of the predictions; no gradient passes through them.
    """

    projections: Pair
    predictions: Pair = (None, None)
    targets: Pair = (None, None)


def _no_negatives(experiment, outputs: Outputs, axis_name):
    del experiment, axis_name
    first, second = map(unit, outputs.projections)
    return jnp.mean(jnp.sum(jnp.square(first - second), axis=-1)), {}


def _nt_xent(experiment, outputs: Outputs, axis_name):
    given = {"temperature": experiment.temperature, "chunk": experiment.chunk}
    values, right = nt_xent(*outputs.projections, **given, axis_name=axis_name)
    return jnp.mean(values), {"accuracy": Mean.of(right)}


def _cosines(outputs: Outputs):
    """Return the mean negative cosine of each prediction with the other view's target."""
    targets = jax.lax.stop_gradient(outputs.targets)
    first = vicreg_barlow.negative_cosine(outputs.predictions[0], targets[1])
    second = vicreg_barlow.negative_cosine(outputs.predictions[1], targets[0])
    return (jnp.mean(first) + jnp.mean(second)) / 2


def _simsiam(experiment, outputs: Outputs, axis_name):
    del experiment, axis_name
    return _cosines(outputs), {}


def _byol(experiment, outputs: Outputs, axis_name):
    del experiment, axis_name
    # The sum over both views of the squared distance of normalized vectors, 2 - 2 cos.
    return 4 + 4 * _cosines(outputs), {}


def _weighted(function: Callable[..., Any], *names: str):
    """Return the loss of a method as a weighted function of both batches of projections."""

    def loss(experiment, outputs: Outputs, axis_name):
        weights = dict(zip(names, experiment.weights, strict=False))
        value, parts = function(*outputs.projections, **weights, axis_name=axis_name)
        return value, {name: Mean.of(part[None]) for name, part in parts._asdict().items()}

    return loss


class Method(NamedTuple):
    """The parts in which the methods differ.

    Attributes:
        loss: (experiment, outputs, axis_name) -> the loss and the metrics of the method.
        last_norm: last layer of the projector, of `cnnlab.models.projection_heads.LAST_NORMS`.
        predictor: whether a predictor follows the projector.
        predictor_bias: whether the last layer of the predictor has a bias.
        teacher: whether a momentum teacher computes the targets, instead of the network.
        weights: number of weights of the loss.
    """

    loss: Callable[..., tuple[Array, dict[str, Any]]]
    last_norm: str = ""
    predictor: bool = False
    predictor_bias: bool = False
    teacher: bool = False
    weights: int = 0


METHODS: dict[str, Method] = {
    "no_negatives": Method(_no_negatives),
    "nt_xent": Method(_nt_xent, last_norm="scale"),
    "simsiam": Method(_simsiam, last_norm="plain", predictor=True, predictor_bias=True),
    "byol": Method(_byol, predictor=True, teacher=True),
    "vicreg": Method(
        _weighted(vicreg_barlow.vicreg, "invariance", "variance", "covariance"), weights=3
    ),
    "barlow": Method(_weighted(vicreg_barlow.barlow_twins, "redundancy"), weights=1),
}


@dataclasses.dataclass(frozen=True)
class JointEmbedding(Experiment):
    """Learn equal embeddings for two views of an image, without collapse.

    Attributes:
        method: "no_negatives", "nt_xent", "simsiam", "byol", "vicreg" or "barlow".
        projector: widths of its layers; (): no projector, the loss is on the features.
        predictor: widths of its hidden layers; the last layer is as wide as the projections. Only
            simsiam and byol have a predictor.
        temperature: of nt_xent.
        weights: of the terms of vicreg (invariance, variance, covariance) or barlow
            (redundancy,); (): the weights of the papers.
        momentum: initial momentum of byol's teacher, tau in the paper.
        momentum_steps: updates over which the momentum rises to 1 by half a cosine; 0: constant.
        joint_views: one BatchNorm batch of both views (SimCLR), or one batch a view (the others).
        chunk: rows of the similarity matrix that nt_xent computes at a time; 0: all.
    """

    head_names: ClassVar[tuple[str, ...]] = ("projector", "predictor")

    method: str = "simsiam"
    projector: tuple[int, ...] = (2048, 2048, 2048)
    predictor: tuple[int, ...] = (512,)
    temperature: float = 0.5
    weights: tuple[float, ...] = ()
    momentum: float = 0.996
    momentum_steps: int = 0
    joint_views: bool = False
    chunk: int = 0
    group: int = VIEWS
    groups: ClassVar[tuple[str, ...]] = ("views", "pairs")

    def __post_init__(self):
        """Check the hyper-parameters."""
        method = pick(METHODS, self.method, "experiment.method")
        for name in ("projector", "predictor"):
            widths = getattr(self, name)
            if any(width < 1 for width in widths):
                raise UserError(f"experiment.{name}={tuple(widths)}: needs widths of 1 or more")
        if not self.temperature > 0:
            raise UserError(f"experiment.temperature={self.temperature}: needs to be above 0")
        if not 0 <= self.momentum <= 1:
            raise UserError(f"experiment.momentum={self.momentum}: needs [0, 1]")
        for name in ("momentum_steps", "chunk"):
            if getattr(self, name) < 0:
                raise UserError(f"experiment.{name}={getattr(self, name)}: needs 0 or more")
        if len(self.weights) not in (0, method.weights):
            raise UserError(
                f"experiment.weights={tuple(self.weights)}: '{self.method}' takes "
                f"{method.weights or 'none'}; () are the paper's"
            )

    def init(self, rng: Any, batch: Batch) -> dict[str, PyTree]:
        """Return the variables of the model, the heads and the teacher."""
        variables = super().init(rng, batch)
        params, stats = dict(variables["params"]), dict(variables.get("batch_stats", {}))
        x, _ = self.model.apply(variables, self.inputs(batch)[:1], train=False)
        # The encoder's key is that of all experiments: equal seeds give equal initial weights.
        for n, (name, head) in enumerate(self._heads(x.shape[-1]).items(), 1):
            x, own = head.init_with_output(jax.random.fold_in(rng, n), x)
            params[name] = own["params"]
            if "batch_stats" in own:
                stats[name] = own["batch_stats"]
        variables |= {"params": params, **({"batch_stats": stats} if stats else {})}
        if METHODS[self.method].teacher:
            variables["teacher"] = teachers.create(_taught(params), _taught(stats))
        return variables

    def loss(
        self, params, model_state, batch, rng, *, train, axis_name
    ) -> tuple[Float[Array, ""], Aux]:
        """Return the loss of a batch of two views; 0 in evaluation, which has one view."""
        if not train:
            return jnp.zeros(()), Aux(model_state, {})
        views = self.select(batch)
        method, state = METHODS[self.method], dict(model_state)
        old = state.pop("teacher", None)
        # BatchNorm batches: both views together, or one view each.
        parts = [jax.tree.map(lambda x, v=v: x[:, v], views) for v in range(VIEWS)]
        if self.joint_views:
            parts = [self.inputs(batch, train=True)]

        features, projections, state = self._encode(params, state, parts, rng, axis_name)
        outputs = Outputs(_pair(projections))
        if method.predictor:
            predictions, state = self._head("predictor", params, state, projections, axis_name)
            outputs = outputs._replace(predictions=_pair(predictions), targets=outputs.projections)
        if method.teacher:
            stats = model_state.get("batch_stats", {})
            targets, teacher = self._teach(old, params, stats, parts, rng, axis_name)
            outputs = outputs._replace(targets=_pair(targets))
            state["teacher"] = teacher
        loss, metrics = method.loss(self, outputs, axis_name)
        metrics |= {
            "loss": Mean.of(loss[None]),
            "embedding_std": embedding_std(jnp.concatenate(features), axis_name),
            "projection_std": embedding_std(jnp.concatenate(projections), axis_name),
        }
        return loss, Aux(state, metrics)

    def _heads(self, width: int, axis_name: str = "") -> dict[str, MLPHead]:
        """Return the heads on features of this width, in order of application."""
        method, heads = METHODS[self.method], {}
        shared: dict[str, Any] = {"norm_axis_name": axis_name}
        shared["dtype"] = getattr(self.model, "dtype", "float32")
        if self.projector:
            heads["projector"] = MLPHead(
                tuple(self.projector), last_norm=method.last_norm, **shared
            )
            width = self.projector[-1]
        if method.predictor:
            widths = (*self.predictor, width)
            heads["predictor"] = MLPHead(widths, last_bias=method.predictor_bias, **shared)
        return heads

    def _encode(self, params, state, parts, rng, axis_name):
        """Return features and projections of each part, and the new state."""
        features = []
        for n, part in enumerate(parts):
            key = jax.random.fold_in(rng, n)
            given = {"train": True, "axis_name": axis_name}
            x, _, state = self.apply_inputs(params, state, part, key, **given)
            features.append(x)
        if not self.projector:
            return features, features, state
        projections, state = self._head("projector", params, state, features, axis_name)
        return features, projections, state

    def _head(self, name, params, state, parts, axis_name):
        """Return the outputs of a head for each part, and the new state."""
        shared = (axis_name or "") if self.sync_bn else ""
        head = self._heads(parts[0].shape[-1], shared)[name]
        stats = dict(state.get("batch_stats", {}))
        outputs = []
        for part in parts:
            variables = {"params": params[name], "batch_stats": stats.get(name, {})}
            x, new = head.apply(variables, part, train=True, mutable=["batch_stats"])
            outputs.append(x)
            if name in stats:
                stats[name] = new["batch_stats"]
        return outputs, {**state, **({"batch_stats": stats} if stats else {})}

    def _teach(self, old, params, stats, parts, rng, axis_name):
        """Update the teacher; return its projections of each part, and the new teacher."""
        pace: dict[str, Any] = {"momentum": self.momentum, "steps": self.momentum_steps}
        teacher = teachers.update(old, _taught(params), _taught(stats), **pace)
        own = {"batch_stats": teacher["batch_stats"]}
        key = jax.random.fold_in(rng, VIEWS)
        _, targets, own = self._encode(teacher["params"], own, parts, key, axis_name)
        return targets, {**teacher, "batch_stats": own.get("batch_stats", {})}


def _pair(parts: list[Float[Array, "n d"]]) -> Pair:
    """Return the outputs for the first views and for the second views, [b, d] each."""
    if len(parts) == VIEWS:
        return parts[0], parts[1]
    both = parts[0].reshape(-1, VIEWS, parts[0].shape[-1])
    return both[:, 0], both[:, 1]


def _taught(tree: PyTree) -> PyTree:
    """Return the part of the network that the teacher copies: all but the predictor."""
    return {name: value for name, value in tree.items() if name != "predictor"}
