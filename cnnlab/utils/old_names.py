"""Old names of config entries, of their values and of config files, with the present names.

Configs of old run folders are read with the present names. Everywhere else an old name is an error,
which gives the present one.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

# Old path of an entry -> present path.
ENTRIES = {
    "floors": "representation.baselines",
    "evaluators": "representation.evaluators",
    "controls": "representation.controls",
    "supervised": "representation.supervised",
    "fine_tune": "representation.fine_tune",
    "embedding_view": "representation.embedding_view",
    "experiment.cure": "experiment.method",
}
# Present path of an entry -> its old values -> the present ones.
VALUES = {
    "experiment.name": {"invariant": "joint_embedding"},
    "experiment.method": {"positives_only": "no_negatives"},
}
FILES = {"digits_invariant": "digits_joint_embedding"}


def present(name: str, names: Iterable[str]) -> str | None:
    """Return the present name of an entry, a value, or a file, if it is one of `names`."""
    entries = {old.rpartition(".")[2]: new.rpartition(".")[2] for old, new in ENTRIES.items()}
    tables = (entries, *VALUES.values(), FILES)
    found = [table[name] for table in tables if name in table]
    return next((new for new in found if new in set(names)), None)


def message(name: str, entries: Collection[str]) -> str:
    """Return the error for an old name of an entry of a dictionary; "" if it is none.

    Args:
        name: that the dictionary does not have.
        entries: names in the dictionary.
    """
    for old, new in ENTRIES.items():
        above, _, last = old.rpartition(".")
        inside = new.removeprefix(f"{above}.") if above else new
        if name == last and inside.partition(".")[0] in entries:
            return f"config.{old} is now config.{new}"
    return ""


def updated(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saved config, or a part of one, with the present names."""
    experiment = config.get("experiment")
    # Objectives from outside the project have names of their own.
    own = isinstance(experiment, Mapping) and ":" in str(experiment.get("name", ""))

    def ours(path: str) -> bool:
        return not (own and path.startswith("experiment."))

    found = _copied(config)
    for old, new in ENTRIES.items():
        above, name = _parent(found, old)
        if name in above and ours(old):
            value = above.pop(name)
            target, last = _parent(found, new, create=True)
            target[last] = value
    for path, values in VALUES.items():
        above, name = _parent(found, path)
        value = above.get(name)
        if isinstance(value, str) and ours(path):
            above[name] = values.get(value, value)
    return found


def _copied(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copied(v) if isinstance(v, Mapping) else v for k, v in entry.items()}


def _parent(config: dict[str, Any], path: str, *, create: bool = False) -> tuple[dict, str]:
    """Return the dictionary that has the entry at a path, {} if there is none, and its key."""
    *above, last = path.split(".")
    for key in above:
        inner = config.setdefault(key, {}) if create else config.get(key)
        config = inner if isinstance(inner, dict) else {}
    return config, last
