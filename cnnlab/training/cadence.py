"""How often a run logs, evaluates and saves: at least once, however short it is."""

from collections.abc import Collection
from typing import Any

# In this order: the others follow eval_every unless they are set.
CADENCES = ("log_every", "eval_every", "evaluate.every", "checkpoint.every")


def fit(config: Any, given: Collection[str] = ()) -> dict[str, int]:
    """Cut, in place, the numbers of steps between events that are more than those of the run.

    Evaluators come with an evaluation: theirs stay multiples of `evaluate.every`.

    Args:
        config: complete, as ConfigDict or dictionary; nothing is done if its `steps` is 0.
        given: entries that stay as they are, and those that follow them.

    Returns:
        The old values by entry.
    """
    steps, old = config["steps"], {}

    def cut(path: str, to: int) -> None:
        above, _, key = path.rpartition(".")
        entry = config
        for part in filter(None, above.split(".")):
            entry = entry[part]
        # An evaluator of an older version may have none.
        value = entry.get(key, 0)
        follows = "eval_every" in given and value == config["eval_every"]
        if 0 < steps < value and path not in given and not follows:
            old[path] = value
            entry[key] = to

    for path in CADENCES:
        cut(path, steps)
    every = config["evaluate"]["every"]
    for name in config["representation"]["evaluators"]:
        cut(f"representation.evaluators.{name}.every", steps // every * every)
    return old
