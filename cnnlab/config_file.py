"""From a config file and what a command line says to a config with every entry that a run reads.

Config files, command lines and the points of a sweep are held to one rule: an entry that `base()`
does not have is refused with the nearest one, and so is a value of another type.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from ml_collections.config_flags import config_path

from cnnlab import config as cfg
from cnnlab.errors import UserError
from cnnlab.evaluators import EVALUATORS
from cnnlab.training.optimizers import OPTIMIZERS
from cnnlab.utils import old_names, user_file
from cnnlab.utils.console import LOG
from cnnlab.utils.import_path import is_place
from cnnlab.utils.registry import nearest, suggest, suggest_entry

# Of dictionaries and tuples in one another.
MAX_DEPTH = 20
# Entries that take values of another type than their default's too.
ALSO: dict[str, tuple[type, ...]] = {"endpoint": (tuple,), "num_classes": (NoneType,)}


def load(argument: str) -> ConfigDict:
    """Return the config of `FILE[:VARIANT]`, complete and locked.

    Raises:
        UserError: if the file fails, or gives what is not a config; with file and line.
    """
    path, colon, variant = argument.partition(":")
    config = user_file.call(Path(path), "get_config", *([variant] if colon else []))
    try:
        _check_depth(config)
        if type(config) is not ConfigDict:
            raise UserError(
                f"get_config() returned {'None' if config is None else type(config).__name__}: it "
                "returns the ConfigDict that it got from cnnlab.config.base()"
            )
        missing = [name for name in _defaults() if name not in config]
        if missing:
            raise UserError(
                f"get_config() returned a config without {', '.join(missing)}: "
                "start from cnnlab.config.base()"
            )
        for part in cfg.NAMED:
            _check_name(part, config[part])
        _separate(config, set())
        return check(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _check_depth(entry: Any, above: str = "config", left: int = MAX_DEPTH) -> None:
    """Raise a `UserError` for what is nested too deep, or holds itself."""
    if isinstance(entry, ConfigDict | Mapping):
        inner: Iterable[Any] = entry.items()
    elif isinstance(entry, tuple | list):
        inner = ((None, value) for value in entry)
    else:
        return
    if not left:
        path = ".".join(above.split(".")[1:5])
        raise UserError(
            f"{path}... is nested more than {MAX_DEPTH} deep, or holds itself: name its entries"
        )
    for key, value in inner:
        _check_depth(value, above if key is None else f"{above}.{key}", left - 1)


def _separate(entries: ConfigDict, seen: set[int]) -> None:
    """Copy what a file assigned to two places, or the command line would set both by one."""
    for key, value in entries.items(preserve_field_references=True):
        if not isinstance(value, ConfigDict):
            continue
        if id(value) in seen:
            with entries.unlocked():
                entries[key] = _copied(value)
        seen.add(id(value))
        _separate(entries[key], seen)


def _copied(entry: ConfigDict) -> ConfigDict:
    copy = ConfigDict({k: _copied(v) if isinstance(v, ConfigDict) else v for k, v in entry.items()})
    return copy.lock() if entry.is_locked else copy


def _check_name(path: str, entry: Any, make: str = "") -> None:
    if not isinstance(entry, ConfigDict):
        return
    make, made_as = make or path, vars(entry).get("made_as")
    if made_as and entry.name != made_as:
        raise UserError(
            f"{path}.name = '{entry.name}' would keep the fields of '{made_as}': "
            f"write config.{path} = cfg.{make}('{entry.name}', ...)"
        )
    for key, value in entry.items():
        _check_name(f"{path}.{key}", value, cfg.nested_model.__name__)


def override(config: ConfigDict, given: Mapping[str, str]) -> ConfigDict:
    """Prepare a config for a command line: take the parts it names, and find what it sets.

    A part that is named anew gets its own defaults in place of the fields of the part before,
    `cfg.KEPT` apart; what the command line sets of it is set afterwards.

    Args:
        config: changed in place, and returned.
        given: text by dotted name, in any order.

    Raises:
        UserError: for a part or an entry that does not exist.
    """
    for part, make in cfg.NAMED.items():
        new = _renamed(config[part], part, given, make, cfg.KEPT[part])
        if new is not config[part]:
            config[part] = new
    for path in given:
        _find(config, path, given)
    _warn_optimizer(config, given)
    return config


def _renamed(
    old: ConfigDict | None,
    path: str,
    given: Mapping[str, str],
    make: Callable[..., ConfigDict],
    kept: Sequence[str],
) -> ConfigDict | None:
    """Return a named part at a path as a command line names it and the models in it."""
    name, new = given.get(f"{path}.name"), old
    if name is not None and (old is None or name != old.name):
        new = make(name)
        new.update({key: old[key] for key in kept if key in old and key in new} if old else {})
    if new is None:
        return new
    for key, value in list(new.items()):
        if value is None or (isinstance(value, ConfigDict) and "name" in value):
            inner = _renamed(value, f"{path}.{key}", given, cfg.nested_model, cfg.KEPT["model"])
            if inner is not value:
                new[key] = inner
    return new


def _warn_optimizer(config: ConfigDict, given: Mapping[str, str]) -> None:
    """Warn that another optimizer takes the numbers that the file chose for its own."""
    options = config.optimizer
    name = given.get("optimizer.name", options.name)
    kept = [k for k in ("learning_rate", "weight_decay") if f"optimizer.{k}" not in given]
    if name in OPTIMIZERS and name != options.name and kept:
        shown = ", ".join(f"{key}={options[key]}" for key in kept)
        LOG.warning("optimizer %s takes the config file's %s, for %s", name, shown, options.name)


def _find(config: ConfigDict, path: str, given: Mapping[str, str]) -> None:
    """Find an entry that a command line sets; one in a dictionary of `cfg.OPEN` is added."""
    try:
        keys = config_path.split(path)
    except ValueError:
        keys = tuple(path.split("."))
    entry, above = config, ""
    for i, key in enumerate(keys):
        if isinstance(entry, ConfigDict) and key not in entry and above in cfg.OPEN:
            _add(entry, above, str(key), given, whole=i == len(keys) - 1)
        _check_key(key, entry, above)
        entry, above = entry[key], f"{above}.{key}" if above else str(key)


def _add(entries: ConfigDict, above: str, key: str, given: Mapping[str, str], whole: bool) -> None:
    """Add an entry with its defaults to the dictionary at the path `above`, unless by a slip."""
    new: Any = ""
    if above in cfg.TABLES:
        table, make = cfg.TABLES[above]
        name = given.get(f"{above}.{key}.name", key)
        if name not in table and not is_place(name):
            hint = suggest(name, {*table, *entries})
            raise UserError(f"the config has no entry '{key}' in {above}{hint}")
        new = make(**{key: {} if name == key else {"name": name}})[key]
    elif not whole or nearest(key, entries):
        return
    with entries.unlocked():
        entries[key] = new


def _check_key(key: Any, entries: Any, above: str) -> None:
    """Raise a `UserError` if there is no such key in a dictionary at the path `above`."""
    if isinstance(entries, ConfigDict | Mapping) and key in entries:
        return
    if isinstance(entries, ConfigDict | Mapping) and (now := old_names.message(str(key), entries)):
        raise UserError(now)
    where = f" in {above}" if above else ""
    if above.partition(".")[0] in cfg.NAMED and "name" in entries:
        where += f" ('{entries['name']}')"
    near = suggest_entry(str(key), entries) if isinstance(entries, ConfigDict | Mapping) else ""
    raise UserError(f"the config has no entry '{key}'{where}{near}")


def check(config: ConfigDict) -> ConfigDict:
    """Complete a config in place, lock and return it.

    Raises:
        UserError: for an entry that `base()` does not have, or a value of another type.
    """
    _check_depth(config)
    return _completed(config, strict=True)


def complete(saved: ConfigDict) -> ConfigDict:
    """Return a config of an earlier version with the entries that have come since."""
    return _completed(ConfigDict(cfg.completed(saved.to_dict())), strict=False)


def _completed(config: ConfigDict, *, strict: bool) -> ConfigDict:
    config.unlock()
    for part in (config.evaluate, config.checkpoint):
        if isinstance(part, ConfigDict) and "every" not in part:
            part.every = config.get_oneway_ref("eval_every")
    _fill(config, _defaults(), "", strict)
    for part, make in cfg.NAMED.items():
        entry = config[part]
        if strict and not isinstance(entry.get("name"), str):
            raise UserError(f"{part} has no name: it is cfg.{part}('NAME', ...)")
        _fill(entry, _with_models(make(entry.name), entry), part, strict)
    for name, entry in config.representation.evaluators.items():
        kind = entry.get("name", name)
        if strict or kind in EVALUATORS or is_place(kind):
            named = {"name": kind} if "name" in entry else {}
            _fill(
                entry,
                cfg.evaluators(**{name: named})[name].to_dict(),
                f"representation.evaluators.{name}",
                strict,
            )
    return config.lock()


def _with_models(defaults: ConfigDict, entry: ConfigDict) -> dict[str, Any]:
    """Return the defaults of a named part, those of models in it as the entry names them."""
    filled = defaults.to_dict()
    for key, value in entry.items():
        if isinstance(value, ConfigDict) and "name" in value and key in filled:
            filled[key] = _with_models(cfg.nested_model(value.name), value)
    return filled


@functools.cache
def _defaults() -> dict[str, Any]:
    return cfg.base().to_dict()


def _fill(entries: ConfigDict, defaults: Mapping[str, Any], above: str, strict: bool) -> None:
    """Add what is missing in a dictionary and those in it; with `strict`, check what it holds."""
    for key in entries if strict else ():
        _check_key(key, defaults, above)
    for key, default in defaults.items():
        path = f"{above}.{key}" if above else key
        if key not in entries:
            entries[key] = default
        elif strict:
            value = typed(path, entries[key], default)
            # An entry that follows another one (a reference) stays one.
            if value is not entries[key]:
                # Deleted first: it would be cast to the type that is there.
                del entries[key]
                entries[key] = value
        if isinstance(default, Mapping) and isinstance(entries[key], ConfigDict):
            if path in cfg.OPEN:
                for name, value in entries[key].items() if strict else ():
                    typed(f"{path}.{name}", value, cfg.OPEN[path]())
            elif path not in cfg.NAMED:
                _fill(entries[key], default, path, strict)


def typed(path: str, value: Any, default: Any) -> Any:
    """Return a value of the type of `default`, with whole numbers made floats, lists tuples.

    Raises:
        UserError: for one of another type; it names the entry at `path`.
    """
    kind = ConfigDict if isinstance(default, Mapping) else type(default)
    allowed = (kind, *ALSO.get(path.rpartition(".")[2], ()))
    if kind is float and type(value) is int:
        return float(value)
    # Scalars of numpy and jax.
    if kind in (int, float) and hasattr(value, "item") and np.ndim(value) == 0:
        return typed(path, value.item(), default)
    if isinstance(value, list) and tuple in allowed:
        return tuple(value)
    # True is an int to Python, but nobody's number of steps.
    if kind is NoneType or (
        isinstance(value, allowed) and (type(value) is not bool or kind is bool)
    ):
        return value
    raise UserError(user_file.needs(path, kind, value))
