"""Entries of a config made from the keyword arguments of the part that they configure.

Each function returns an entry with every argument of the part, so that each can be set from the
command line; arguments that do not exist are refused. Config files call them as `cfg.model(...)`.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ml_collections import ConfigDict

from cnnlab import models, objectives
from cnnlab.data.augment import AUGMENT
from cnnlab.data.preprocess.transforms import PREPROCESS
from cnnlab.errors import UserError
from cnnlab.evaluators import find as find_evaluator
from cnnlab.training.optimizers import OPTIMIZERS
from cnnlab.training.representation_entries import COMMON
from cnnlab.training.schedules import SCHEDULES
from cnnlab.utils.registry import check_keywords, defaults, pick, suggest


def keywords(function: Callable, *leave_out: str) -> dict[str, Any]:
    """Return the keyword arguments of `function` with their defaults."""
    return {key: value for key, value in defaults(function).items() if key not in leave_out}


def transforms(table: Mapping[str, Callable], **chosen: Mapping[str, Any]) -> ConfigDict:
    """Return every keyword argument of the chosen transforms, given ones replaced."""
    filled = {}
    for name, given in chosen.items():
        function = pick(table, name, "transform")
        check_keywords(function, given, f"transform '{name}'")
        filled[name] = ConfigDict({**defaults(function), **given}).lock()
    return ConfigDict(filled)


def augment(**chosen: Mapping[str, Any]) -> ConfigDict:
    """Return the entry for `data.train.augment`; `augment(flip={})` takes flip as it is."""
    return transforms(AUGMENT, **chosen)


def preprocess(**chosen: Mapping[str, Any]) -> ConfigDict:
    """Return an entry for `data.train.preprocess` or `data.eval.preprocess`."""
    return transforms(PREPROCESS, **chosen)


def evaluators(**chosen: Mapping[str, Any]) -> ConfigDict:
    """Return the entry for `representation.evaluators`: every keyword, given ones replaced.

    An entry of another key has the evaluator's name, or its place: `cfg.evaluators(
    near={"name": "knn", "k": 1}, mine={"name": "package.module:function"})`.
    """
    return ConfigDict(
        {
            name: ConfigDict(
                {**COMMON, **keywords(find_evaluator(given.get("name", name))), **given}
            ).lock()
            for name, given in chosen.items()
        }
    )


def variant(name: str, variants: Collection[str]) -> Any:
    """Return a variant's value where `variants` is a dictionary, else its name.

    Raises:
        UserError: for a name that is not among them.
    """
    if name not in variants:
        raise UserError(f"unknown variant '{name}'{suggest(name, variants, cutoff=0.7)}")
    return variants[name] if isinstance(variants, Mapping) else name


def optimizer(name: str, **given: Any) -> ConfigDict:
    """Return the entry for `optimizer`: `COMMON_OPTIONS` and the keywords of every optimizer.

    `cfg.optimizer("sgd", learning_rate=0.1, nesterov=True)` sets `optimizer.learning_rate` and
    `optimizer.sgd.nesterov`.
    """
    return _of_table("optimizer", name, OPTIMIZERS, COMMON_OPTIONS, given)


def schedule(name: str, **given: Any) -> ConfigDict:
    """Return the entry for `schedule`: `warmup` and the keywords of every schedule.

    warmup is a number of steps, or a fraction of the run if below 1. The other arguments given are
    of this schedule: `cfg.schedule("step", factor=0.1)` sets `schedule.step.factor`.
    """
    return _of_table("schedule", name, SCHEDULES, {"warmup": 0.0}, given)


# Of every optimizer.
COMMON_OPTIONS = {
    "learning_rate": 0.1,
    "weight_decay": 0.0,
    "clip_norm": 0.0,
    "decay_mask": "kernels",
    "multipliers": (),
}


def _of_table(
    part: str,
    name: str,
    table: Mapping[str, Callable],
    common: Mapping[str, Any],
    given: Mapping[str, Any],
) -> ConfigDict:
    pick(table, name, part)
    own = {key: keywords(function, *common) for key, function in table.items()}
    entry = ConfigDict({"name": name, **common, **own}).lock()
    for key, value in given.items():
        if key not in common and key not in own[name]:
            known = (*common, *own[name])
            raise UserError(f"{part} '{name}' has no argument '{key}'{suggest(key, known)}")
        (entry if key in common else entry[name])[key] = value
    return entry


def model(name: str, **given: Any) -> ConfigDict:
    """Return the entry for `model`: its name and every field, given ones replaced.

    A model in it is given as `cfg.model(...)` or a mapping with `name`; it has no classifier unless
    `num_classes` says so. To take another model, assign a new entry: setting `config.model.name` in
    a config file is refused, because the fields of the first would stay. On the command line
    `--config.model.name` takes that model's own defaults, but for `KEPT` and what the command line
    sets itself.
    """
    return _named("model", name, models.fields(name), given)


def nested_model(name: str, **given: Any) -> ConfigDict:
    """Return the entry for a model in another one, or in an objective: `model`, no classifier."""
    return model(**models.nested({"name": name, **given}))


def experiment(name: str, **given: Any) -> ConfigDict:
    """Return the entry for `experiment`: its name and every hyper-parameter; as `model`."""
    return _named("experiment", name, objectives.fields(name), given)


# Entries whose fields are those of what they name.
NAMED: dict[str, Callable[..., ConfigDict]] = {"model": model, "experiment": experiment}
# What another model on the command line keeps: it is of the data and of the machine.
KEPT = {"model": ("num_classes", "dtype", "remat"), "experiment": ()}


def _named(part: str, name: str, fields: Mapping[str, Any], given: Mapping[str, Any]) -> ConfigDict:
    for key in given:
        if key not in fields:
            raise UserError(f"{part} '{name}' has no argument '{key}'{suggest(key, fields)}")
    values = {
        key: nested_model(**value) if models.is_nested(value) else value
        for key, value in {**fields, **given}.items()
    }
    entry = ConfigDict({"name": name, **values}).lock()
    # Not an entry: whose fields these are, when the name has been changed since.
    object.__setattr__(entry, "made_as", name)
    return entry
