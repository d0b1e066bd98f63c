"""Evaluation protocols of embeddings that need no further training of the network.

Each is a pure function on the host: `f(query, *, train, val, seed, similarity, **own)` returns an
`EvalResult`. `query` is the split that is evaluated, `train` the training split, `val` the one on
which to choose. `similarity` maps a [n, d] and b [m, d] to [n, m], larger meaning more alike, where
the network has learned one; None: the keyword `distance` says how to compare. One's own is named by
`package.module:function`.
"""

import inspect
from collections.abc import Callable
from typing import Any

from cnnlab.evaluators.collapse import collapse
from cnnlab.evaluators.features import EvalResult, Features
from cnnlab.evaluators.few_shot import few_shot
from cnnlab.evaluators.knn import knn
from cnnlab.evaluators.lfw_protocol import listed_pairs
from cnnlab.evaluators.linear_probe import linear_probe
from cnnlab.evaluators.one_shot_runs import one_shot_runs
from cnnlab.evaluators.retrieval import retrieval
from cnnlab.evaluators.verification import verification
from cnnlab.utils import import_path

EVALUATORS: dict[str, Callable[..., EvalResult]] = {
    "collapse": collapse,
    "knn": knn,
    "linear_probe": linear_probe,
    "few_shot": few_shot,
    "verification": verification,
    "listed_pairs": listed_pairs,
    "one_shot_runs": one_shot_runs,
    "retrieval": retrieval,
}


def find(name: str) -> Callable[..., EvalResult]:
    """Return an evaluator by name, or by `package.module:function`.

    Raises:
        UserError: an unknown name, or a place without a function of embeddings.
    """
    wanted = "function f(query, *, train, val, seed, similarity, ...)"
    return import_path.pick(EVALUATORS, name, "evaluator", _is_evaluator, wanted)


def _is_evaluator(found: Any) -> bool:
    if not inspect.isfunction(found):
        return False
    parameters = inspect.signature(found).parameters
    given = ("train", "val", "seed", "similarity")
    any_keyword = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return any_keyword or all(name in parameters for name in given)


__all__ = ["EVALUATORS", "EvalResult", "Features", "find"]
