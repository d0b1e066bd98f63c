"""Base class of objectives: the interface between an objective and the training loop."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from cnnlab.data.sources.info import INPUTS
from cnnlab.errors import UserError
from cnnlab.models.parts import synchronized
from cnnlab.utils.registry import suggest

Batch = dict[str, Any]


class Aux(NamedTuple):
    """Further results of a loss.

    Attributes:
        model_state: the collections of the model other than `params`, after this batch.
        metrics: by name, sums that psum and `+` merge (`cnnlab.metrics`), or `Collected` ones.
        output: in evaluation what `predict` needs of the network, arrays [b, ...]; it stays on the
            device.
    """

    model_state: PyTree
    metrics: dict[str, Any]
    output: PyTree = None


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An objective: hyper-parameters and pure methods, no arrays.

    Attributes:
        model: maps inputs to `(output, endpoints)`.
        sync_bn: whether a model with BatchNorm shares its batch statistics over the replicas.
        input_keys: what the model reads of a batch; of several keys it gets a dictionary. () for
            the one of `cnnlab.data.sources.info.INPUTS` that there is.
        group: members of an example in training, [b, g, ...]; 0: as the data has them. In
            evaluation examples come one by one.
        groups: what these may be, as `cnnlab.data.device_transform.grouping` calls it.
    """

    model: nn.Module
    sync_bn: bool = False
    input_keys: tuple[str, ...] = ()
    group: int = 1
    groups: ClassVar[tuple[str, ...]] = ("single",)

    # Modules of the objective on top of the network.
    head_names: ClassVar[tuple[str, ...]] = ()

    def select(self, batch: Batch) -> Any:
        """Return the inputs of the model in the batch, groups as they are."""
        keys = self.input_keys or tuple(key for key in INPUTS if key in batch)
        if len(keys) != 1 and not self.input_keys:
            raise UserError(
                f"the batch has {', '.join(keys) or 'none'} of {', '.join(INPUTS)}: name what the "
                "model reads with --config.experiment.input_keys"
            )
        missing = [key for key in keys if key not in batch]
        if missing:
            raise UserError(
                f"experiment.input_keys={tuple(keys)}: the batch has no '{missing[0]}'"
                f"{suggest(missing[0], batch)}"
            )
        return batch[keys[0]] if len(keys) == 1 else {key: batch[key] for key in keys}

    def inputs(self, batch: Batch, *, train: bool = False) -> Any:
        """Return the inputs of the model with groups flattened in training.

        In training the members of groups come one after another: [b, g, ...] -> [b g, ...].
        """
        found = self.select(batch)
        if not train or self.group < 2:
            return found
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), found)

    def build(self, model: nn.Module) -> nn.Module:
        """Return the network: the model, or a module that has heads of the objective on it.

        It is called as a model is, and returns `(output, endpoints)`. With `nn.share_scope(self,
        model)` in its `setup` the model's parameters keep the paths that they have without heads.
        """
        return model

    def init(self, rng: Any, batch: Batch) -> dict[str, PyTree]:
        """Return the network's variables; `batch` is a prepared batch, of which one row is used."""
        row = jax.tree.map(lambda x: x[:1], self.inputs(batch))
        return {"params": {}, **self.build(self.model).init(rng, row, train=False)}

    def apply(
        self,
        params: PyTree,
        model_state: PyTree,
        batch: Batch,
        rng: Any,
        *,
        train: bool,
        axis_name: str | None,
    ) -> tuple[Array, dict[str, Array], PyTree]:
        """Apply the model to the batch; return its output, endpoints and new state."""
        return self.apply_inputs(
            params,
            model_state,
            self.inputs(batch, train=train),
            rng,
            train=train,
            axis_name=axis_name,
        )

    def apply_inputs(
        self,
        params: PyTree,
        model_state: PyTree,
        inputs: Any,
        rng: Any,
        *,
        train: bool,
        axis_name: str | None,
    ) -> tuple[Array, dict[str, Array], PyTree]:
        """Apply the model to given inputs, for example one view of a batch.

        Collections and entries that are not the model's (heads, a teacher) stay as they are.
        """
        variables = {"params": params, **model_state}
        model = self.build(self.model)
        if self.sync_bn and axis_name is not None:
            model = synchronized(model, axis_name)
        if not train:
            result: Any = model.apply(variables, inputs, train=False)
            output, endpoints = result
            return output, endpoints, model_state
        result, new_state = model.apply(
            variables, inputs, train=True, rngs={"dropout": rng}, mutable=list(model_state)
        )
        output, endpoints = result
        return output, endpoints, dict(new_state)

    def embedding(self, output: Float[Array, "b d"]) -> Float[Array, "b d"]:
        """Return the features that evaluators call "embedding": by default the output."""
        return output

    def pool(self, x: Float[Array, "b *s d"], name: str) -> Float[Array, "b d"]:
        """Pool an endpoint to one vector an example, by the model's `pool` if it has one.

        Without, the mean over the axes of space (and time). A Transformer takes its class token, a
        graph network the mean of its real nodes.
        """
        pool = getattr(self.model, "pool", None)
        if callable(pool):
            return pool(x, name)
        return x.mean(axis=tuple(range(1, x.ndim - 1))) if x.ndim > 2 else x

    def embed(
        self,
        params: PyTree,
        model_state: PyTree,
        batch: Batch,
        names: Sequence[str] = ("embedding",),
    ) -> dict[str, Array]:
        """Return endpoints or "embedding" in inference, each pooled to float32 [b, d].

        Raises:
            UserError: for a name that is no endpoint.
        """
        output, endpoints, _ = self.apply(
            params, model_state, batch, None, train=False, axis_name=None
        )
        there = {"embedding": output, **endpoints}
        for name in names:
            if name not in there:
                raise UserError(f"no endpoint '{name}'{suggest(name, there)}")
        vectors = {name: there[name] for name in names}
        if "embedding" in vectors and "embedding" not in endpoints:
            vectors["embedding"] = self.embedding(output)
        return {name: self.pool(x.astype(jnp.float32), name) for name, x in vectors.items()}

    def similarity(self, params: PyTree) -> Callable[[Array, Array], Array] | None:
        """Return a learned similarity of embeddings, ([n, d], [m, d]) -> [n, m]; None: none."""
        del params
        return None

    def loss(
        self,
        params: PyTree,
        model_state: PyTree,
        batch: Batch,
        rng: Any,
        *,
        train: bool,
        axis_name: str | None,
    ) -> tuple[Float[Array, ""], Aux]:
        """Return the scalar to minimize and its `Aux`; the same function for validation.

        `batch["valid"]`, where there is one, is False for padding: such rows count nowhere.
        """
        raise UserError(f"objective '{type(self).__name__}' has no loss, or no evaluate beside fit")

    def evaluate(
        self, params: PyTree, model_state: PyTree, batch: Batch, rng: Any, *, axis_name: str | None
    ) -> Aux:
        """Return metrics and output of a batch in inference: by default those of `loss`."""
        return self.loss(params, model_state, batch, rng, train=False, axis_name=axis_name)[1]

    # An objective without gradients has fit(source) -> variables in place of a loss, and an
    # `evaluate`. It is the one step of training; `source` is a `TrainingSet` of
    # `cnnlab.training.fitting`. `init` gets a batch with a row for each of its examples and returns
    # variables of the same shapes, whatever values: a checkpoint is restored into them.
    fit: ClassVar[Callable[..., Any] | None] = None

    def targets(self) -> tuple[str, ...]:
        """Return the keys of the batch that the loss reads beside the inputs."""
        return ()

    def mixed_targets(self) -> tuple[str, ...]:
        """Return the keys of `augment.mixing` that the loss reads beside the targets.

        Mixed examples are refused for an objective that would take them for whole ones.
        """
        return ()

    @property
    def predicts_labels(self) -> bool:
        """Whether output i of the model is the class with label i."""
        return False

    def check(self, info: Any) -> None:
        """Raise a `UserError` for a source (its `Info`) that this objective cannot learn from."""

    def predict(self, output: PyTree, batch: Batch) -> dict[str, Array]:
        """Return the outputs to gather of each example, [b, ...] by name, from `Aux.output`.

        Runs on the device. Reduce here what is large: boxes to the best 100, logits of pixels to a
        confusion matrix an image.
        """
        del output, batch
        return {}

    # An objective may have summarize(outputs, source) -> numbers by name, called on process 0 at
    # each evaluation, with `predict`'s outputs of the whole split: every example once, in the order
    # of the source, and `index`, its position there. NaN: nothing to measure, and left out.
    # Without it outputs are gathered for the figures alone, at the end.
    summarize: ClassVar[Callable[..., dict[str, float]] | None] = None

    def report(self, evaluation: Any, source: Any) -> dict[str, Any]:
        """Return entries for result.json beside the scalars of an evaluated split, JSON-like."""
        del evaluation, source
        return {}

    def draw(self, evaluation: Any, source: Any, folder: Path) -> None:
        """Draw figures of an evaluated split into `folder`, at the end of a run."""
