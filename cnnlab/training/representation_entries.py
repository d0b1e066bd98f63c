"""The entries of a config's `representation`: checked, and what they ask for.

`config.representation.evaluators` names protocols (`cnnlab.evaluators`), each with its keywords
and these; an entry under a name of one's own also with `name`.

Args:
    every: steps between two evaluations during training, a multiple of evaluate.every; 0: at the
        end only.
    endpoint: of the model, averaged over space, or "embedding"; several as a tuple.
    splits: of data.eval.splits; (): all.
    key: integers that are taken for the classes.
    name: of the evaluator, or its place, package.module:function.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cnnlab.data.argument_types import check_arguments
from cnnlab.errors import UserError
from cnnlab.evaluators import find
from cnnlab.plots import projections
from cnnlab.utils import import_path, names
from cnnlab.utils.registry import pick, suggest

# Of an entry of the config, beside the keywords of the evaluator.
COMMON: dict[str, Any] = {"every": 0, "endpoint": "features", "splits": (), "key": "label"}
# Evaluators that compare with the training split, and that choose something.
WITH_BANK = ("knn", "linear_probe", "verification")
WITH_TUNING = ("linear_probe", "verification")


def check(representation: Any, splits: Iterable[str], every: int) -> None:
    """Raise a `UserError` for an evaluator, a keyword, a split or a cadence that cannot be.

    Args:
        representation: the config's entry.
        splits: names of the splits that can be evaluated.
        every: steps between two evaluations during training.
    """
    names.check("representation.evaluators", representation.evaluators)
    names.check_once("representation.controls", representation.controls)
    for name, entry in representation.evaluators.to_dict().items():
        path = f"representation.evaluators.{name}"
        function = find(kind(name, entry))
        for key in COMMON:
            if key not in entry:
                raise UserError(f"{path} has no '{key}': make it with cfg.evaluators")
        if not endpoints(entry):
            raise UserError(f"{path}.endpoint names none")
        own = keywords(entry)
        check_arguments(function, own, path)
        names.check_once(f"{path}.splits", entry["splits"])
        for split in entry["splits"]:
            if split not in splits:
                hint = suggest(split, splits)
                raise UserError(f"{path}.splits: no split '{split}'{hint}")
        cadence = f"{path}.every={entry['every']}"
        if entry["every"] < 0 or entry["every"] % every:
            raise UserError(f"{cadence}: needs a multiple of evaluate.every={every}, or 0")
    view = representation.embedding_view
    if view.split and view.split not in splits:
        hint = suggest(view.split, splits)
        raise UserError(f"representation.embedding_view.split: no split '{view.split}'{hint}")
    pick(projections.VIEWS, view.view, "representation.embedding_view.view")
    if view.split:
        projections.check(view.view)
        if view.limit < 1:
            raise UserError(
                f"representation.embedding_view.limit={view.limit}: needs to be at least 1"
            )


def kind(name: str, entry: Mapping[str, Any]) -> str:
    """Return the evaluator of an entry of the config: its `name`, or the key that it is under."""
    return entry.get("name", name)


def keywords(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evaluator's own keywords of an entry of the config."""
    return {key: value for key, value in entry.items() if key not in COMMON and key != "name"}


def needs_bank(evaluator: str) -> bool:
    """Return whether an evaluator compares with the training split; a person's own may."""
    return evaluator in WITH_BANK or import_path.is_place(evaluator)


def needs_tuning(evaluator: str) -> bool:
    """Return whether an evaluator chooses something; a person's own may."""
    return evaluator in WITH_TUNING or import_path.is_place(evaluator)


def scalar_names(
    split: str, protocol: str, entries: Mapping[str, Any], values: Iterable[str]
) -> list[str]:
    """Return what the values of a protocol are called in metrics.jsonl.

    Args:
        split: that is evaluated.
        protocol: its name.
        entries: of the config, `evaluators`.
        values: names of its values.
    """
    return [
        scalar_name(split, protocol, name, endpoint, entries)
        for name in values
        for endpoint in endpoints(entries[protocol])
    ]


def scalar_name(
    split: str, protocol: str, name: str, endpoint: str, entries: Mapping[str, Any]
) -> str:
    """Return what one value of a protocol is called in metrics.jsonl."""
    where = f"@{endpoint}" if len(endpoints(entries[protocol])) > 1 else ""
    return f"{split}/{protocol}_{name}{where}"


def endpoints(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the endpoints of an entry of the config."""
    names = entry["endpoint"]
    return (names,) if isinstance(names, str) else tuple(names)
