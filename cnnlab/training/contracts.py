"""Checks of what an objective and an evaluator return, while their shapes are traced.

Each raises a `UserError` that names the part by its place, what it returned and what is wanted.
"""

import contextlib
import functools
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from cnnlab.errors import UserError
from cnnlab.evaluators import EvalResult
from cnnlab.training.state import leaf_names
from cnnlab.utils import import_path
from cnnlab.utils.describe import describe, place_of

AUX = "Aux(model_state, metrics, output)"


def check_training(
    experiment: Any, variables: tuple[PyTree, PyTree], batch: PyTree, rows: int, *, own: bool
) -> None:
    """Check that there are parameters, and trace the loss of an objective in training.

    Args:
        experiment: the objective.
        variables: `(params, model_state)`, or their shapes.
        batch: a prepared batch of training, or its shapes.
        rows: of a batch of the run.
        own: objective or model are a person's own; the losses of others are known to be right.
    """
    if getattr(experiment, "fit", None) is not None:
        return
    if not jax.tree.leaves(variables[0]):
        raise UserError(
            f"experiment '{place_of(experiment)}': the model has no parameters, so that there is "
            "nothing to train; an objective without gradients defines fit(source)"
        )
    if not own:
        return
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype), batch)

    def traced(params: PyTree, model_state: PyTree, batch: PyTree, rng: Any) -> None:
        found = experiment.loss(params, model_state, batch, rng, train=True, axis_name=None)
        what = f"experiment '{place_of(experiment)}': loss returns"
        if type(found) is not tuple or len(found) != 2:
            raise UserError(f"{what} {describe(found)}; it has to return (loss, {AUX})")
        loss, aux = found
        if np.shape(loss) != () or not jnp.issubdtype(jnp.result_type(loss), jnp.floating):
            raise UserError(f"{what} {describe(loss)}; the loss has to be one real number")
        check_aux(experiment, aux, model_state)

    with explained(experiment):
        jax.eval_shape(traced, *variables, batch, jax.random.key(0))


def explained(experiment: Any) -> contextlib.AbstractContextManager[None]:
    """Return a context in which an error is that of an objective with its model."""
    both = f"experiment '{place_of(experiment)}' with model '{place_of(experiment.model)}'"
    return import_path.explained(f"{both} fails", functools.partial(_outputs_hint, experiment))


def _outputs_hint(experiment: Any, error: Exception) -> str:
    """Return how many outputs the model should have by the shapes that an error names, or ""."""
    outputs = getattr(experiment.model, "num_classes", None)
    texts = re.findall(r"\(([\d, ]+)\)", str(error).partition("\n")[0])
    shapes = [[int(n) for n in re.findall(r"\d+", text)] for text in texts]
    wanted = {
        b[-1]
        for a, b in itertools.permutations(filter(None, shapes), 2)
        if len(a) > 1 and a[:-1] == b[:-1] and a[-1] == outputs != b[-1]
    }
    return f"; did you mean --config.model.num_classes={wanted.pop()}?" if len(wanted) == 1 else ""


def check_aux(experiment: Any, aux: Any, model_state: PyTree) -> None:
    """Check an `Aux`, whose model state has to be like the one that it was computed from."""
    what = f"experiment '{place_of(experiment)}'"
    if not all(hasattr(aux, key) for key in ("model_state", "metrics", "output")):
        raise UserError(f"{what} returns {describe(aux)} where {AUX} is wanted")
    if not isinstance(aux.metrics, Mapping):
        raise UserError(
            f"{what}: metrics are {describe(aux.metrics)}; they have to be a dictionary"
        )
    for name, metric in aux.metrics.items():
        if not callable(getattr(metric, "compute", None)):
            raise UserError(
                f"{what}: metric '{name}' is {describe(metric)}; it has to be a metric of "
                "cnnlab.metrics, such as Mean.of(values, valid)"
            )
    shapes = [
        {n: np.shape(x) for n, x in zip(leaf_names(tree), jax.tree.leaves(tree), strict=True)}
        for tree in (model_state, aux.model_state)
    ]
    if shapes[0] != shapes[1]:
        name = min(n for n in {*shapes[0], *shapes[1]} if shapes[0].get(n) != shapes[1].get(n))
        raise UserError(
            f"{what}: Aux.model_state differs from the model's state in '{name}'; it has to be "
            "the state that apply returns"
        )


def check_rows(experiment: Any, outputs: Any, collected: Mapping[str, Any], rows: int) -> None:
    """Check that what an evaluation gathers has a row for each example of the batch."""
    what = f"experiment '{place_of(experiment)}'"
    if not isinstance(outputs, Mapping):
        raise UserError(
            f"{what}: predict returns {describe(outputs)}; it has to return a dictionary of arrays"
        )
    parts = [(f"predict returns '{name}' as", x) for name, x in outputs.items()]
    parts += [
        (f"metric '{name}' collects", x)
        for name, m in collected.items()
        for x in jax.tree.leaves(m)
    ]
    for words, found in parts:
        if np.shape(found)[:1] != (rows,):
            raise UserError(
                f"{what}: {words} {describe(found)} for a batch of {rows}; it has to have a row "
                "for each example"
            )


def check_summary(experiment: Any, numbers: Any, metrics: Iterable[str]) -> dict[str, float]:
    """Return what `summarize` returned as floats by name, none of them that of a metric."""
    what = f"experiment '{place_of(experiment)}': summarize returns"
    wanted = "it has to return a dictionary of numbers"
    if not isinstance(numbers, Mapping):
        raise UserError(f"{what} {describe(numbers)}; {wanted}")
    for name, value in numbers.items():
        if not isinstance(name, str) or not _is_number(value):
            raise UserError(f"{what} {describe(value)} as {name!r}; {wanted}")
        if name in metrics:
            raise UserError(f"{what} '{name}', which is a metric already: give it another name")
    return {name: float(value) for name, value in numbers.items()}


def check_result(found: Any) -> EvalResult:
    """Return what an evaluator returned."""
    wanted = (
        "an evaluator has to return EvalResult(setting, values), values a dictionary of numbers"
    )
    if not isinstance(found, EvalResult):
        raise UserError(f"returns {describe(found)}; {wanted}")
    values = found.values
    if not isinstance(values, Mapping):
        raise UserError(f"returns values of {describe(values)}; {wanted}")
    for name, value in values.items():
        if not isinstance(name, str) or not _is_number(value):
            raise UserError(f"returns {describe(value)} as {name!r}; {wanted}")
    return found


def _is_number(value: Any) -> bool:
    found = np.asarray(value)
    return found.ndim == 0 and found.dtype.kind in "biuf"
