"""How good an embedding is, by protocols that need no further training of the network.

Each is a pure function on the host, `f(query, *, bank, tune, seed, similarity, **own) -> Score`:
`query` is the split that is evaluated, `bank` the training split, `tune` the split on which what
is to be chosen is chosen. `similarity` maps a [n, d] and b [m, d] to [n, m], larger meaning more
alike, where the network has learned one; None: the keyword `distance` says how to compare.
"""

from collections.abc import Callable

from cnnlab.evaluators.collapse import collapse
from cnnlab.evaluators.embedded import Embedded, Score
from cnnlab.evaluators.few_shot import few_shot
from cnnlab.evaluators.knn import knn
from cnnlab.evaluators.linear_probe import linear_probe
from cnnlab.evaluators.listed_pairs import listed_pairs
from cnnlab.evaluators.retrieval import retrieval
from cnnlab.evaluators.verification import verification

EVALUATORS: dict[str, Callable[..., Score]] = {
    "collapse": collapse,
    "knn": knn,
    "linear_probe": linear_probe,
    "few_shot": few_shot,
    "verification": verification,
    "listed_pairs": listed_pairs,
    "retrieval": retrieval,
}

__all__ = ["EVALUATORS", "Embedded", "Score"]
