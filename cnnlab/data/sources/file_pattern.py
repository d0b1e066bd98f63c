"""Files whose class, and what else is known of them, stands in their path.

    wav:/path/{label}_{speaker}_{take}.wav
    sound:/path/{_} - {label}/{fold}-*.ogg
    folder:/path/s{label}/{image}.pgm

A field takes any characters but `/`, as few as fit, and the same wherever it stands again; `*` and
`{_}` take any too. `label` is the class. Every other field is a key of the examples: its number if
all are whole numbers, otherwise its place among the sorted values; but a field called `index`, or
as what the examples hold already, only selects. Files that do not match are passed over.

Splits are `train`, which is all of them, and conditions on fields, `label` too, joined by `&`:

    take<5    fold!=3    fold!=3 & label!=Rain    take>=5[:80%]    fold==1+fold==2

Files come in the order of a hash of their place, as in class folders.
"""

import operator
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.data.sources.class_folders import File, Kind, entries, in_order, is_folder, list_split
from cnnlab.data.sources.info import COUNTERS, INPUTS
from cnnlab.data.sources.splits import resolve
from cnnlab.errors import UserError
from cnnlab.utils.files import expand
from cnnlab.utils.registry import suggest

FIELD = re.compile(r"(?<!\$)\{(\w+)\}")
TOKEN = re.compile(rf"{FIELD.pattern}|(\*)")
LABEL, ANY = "label", "_"
# What a batch has already.
TAKEN = {LABEL, ANY, "rate", *COUNTERS, *INPUTS}
CONDITION = re.compile(r"\s*(\w+)\s*(==|!=|<=|>=|<|>|=)\s*(.+?)\s*")
OPERATORS = {
    **{"==": operator.eq, "=": operator.eq, "!=": operator.ne},
    **{"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge},
}


class Listing(NamedTuple):
    """Files, the names of their classes, and the names of their keys."""

    class_names: tuple[str, ...]
    files: list[File]
    keys: tuple[str, ...] = ()


def list_files(kind: Kind, path: str, split: str) -> Listing:
    """Return the files of a pattern, or of class folders, that `split` selects; none is opened.

    Raises:
        UserError: as `list_pattern` and `class_folders.list_split`.
    """
    if FIELD.search(path) and not os.path.lexists(path):
        return list_pattern(kind, path, split)
    return Listing(*list_split(kind, path, split))


def divided(path: str) -> tuple[str, str]:
    """Return the folder that a pattern looks in, and the pattern below it."""
    parts = path.split("/")
    depth = next(i for i, part in enumerate(parts) if TOKEN.search(part) or i == len(parts) - 1)
    return "/".join(parts[:depth]) or "/" * path.startswith("/") or ".", "/".join(parts[depth:])


def relocated(path: str, place: str) -> str:
    """Return a path with another folder in its place, which keeps the pattern that it has none."""
    patterns = path.partition("//")[2]
    if "," in patterns and "//" not in place:  # of `frame_pairs`
        return f"{place}//{patterns}"
    return (
        f"{place}/{divided(path)[1]}" if FIELD.search(path) and not FIELD.search(place) else place
    )


def list_pattern(kind: Kind, path: str, split: str) -> Listing:
    """Return the files that a pattern and a split select; none is opened.

    Raises:
        UserError: nothing matches, there is no field `label` or one class only, or the split has
            a condition that cannot be.
    """
    name = f"{kind.prefix}:{path}"
    folder, below = divided(expand(path))
    root = Path(folder)
    if LABEL not in FIELD.findall(path):
        raise UserError(f"{name}: name the class {{{LABEL}}}, as in /path/{{{LABEL}}}_{{take}}.wav")
    if "}{" in below:
        raise UserError(f"{name}: two fields need a character between them")
    for key in FIELD.findall(below):
        if not key.isidentifier():
            raise UserError(f"{name}: a field is letters, digits after them, and _, not {{{key}}}")
    if not root.is_dir():
        raise UserError(f"{name}: there is no folder {root}")
    pattern, depth = re.compile(_regex(below), re.DOTALL), 1 + below.count("/")
    found = [(place, m) for place in _walk(root, depth) if (m := pattern.fullmatch(place))]
    if not found:
        raise UserError(f"{name}: no file in {root} matches {below}")
    fields = {key: _values([match[key] for _, match in found]) for key in pattern.groupindex}
    names, labels = np.unique(fields[LABEL], return_inverse=True)
    if len(names) < 2:
        raise UserError(f"{name} has one class only, '{names[0]}': a classifier needs two or more")
    keys = tuple(key for key in fields if key not in TAKEN)
    numbers = [
        values if values.dtype.kind == "i" else np.unique(values, return_inverse=True)[1]
        for values in (fields[key] for key in keys)
    ]
    files = [
        File(root, place, int(label), tuple(int(n) for n in row))
        for (place, _), label, *row in zip(found, labels, *numbers, strict=True)
    ]
    order = in_order(files)
    chosen = [
        order[i]
        for part in split.split("+")
        for i in _select(name, part, {key: values[order] for key, values in fields.items()})
    ]
    shown = (os.fsencode(str(name)).decode(errors="backslashreplace") for name in names)
    return Listing(tuple(shown), [files[i] for i in chosen], keys)


def _regex(pattern: str) -> str:
    """Return the regular expression of a pattern below its folder."""
    tokens = list(TOKEN.finditer(pattern))
    ends = [token.start() for token in tokens[1:]] + [len(pattern)]
    seen: set[str] = set()
    parts = []
    for token, end in zip(tokens, ends, strict=True):
        key = token[1]
        if key is None or key == ANY:
            part = "[^/]*?"
        else:
            part = f"(?P={key})" if key in seen else f"(?P<{key}>[^/]+?)"
            seen.add(key)
        parts.append(part + re.escape(pattern[token.end() : end]))
    # Where no field is there twice, more than the fewest characters help none but the last:
    # without a second try at the others, many `*` take no time beyond all bounds.
    if not any("(?P=" in part for part in parts):
        parts[:-1] = [f"(?>{part})" for part in parts[:-1]]
    return re.escape(pattern[: tokens[0].start()]) + "".join(parts)


def _walk(root: Path, depth: int, folder: str = "") -> Iterator[str]:
    """Yield the place in `root` of every file so many folders below."""
    for entry in entries(root / folder):
        place = f"{folder}/{entry.name}" if folder else entry.name
        if is_folder(entry):
            if depth > 1:
                yield from _walk(root, depth - 1, place)
        elif depth == 1:
            yield place


def _values(texts: Sequence[str]) -> np.ndarray:
    """Return the values of a field, as integers if they all are."""
    whole = all(re.fullmatch(r"\d{1,9}", text, re.ASCII) for text in texts)
    return np.array([int(text) for text in texts] if whole else texts)


def _select(name: str, part: str, fields: dict[str, np.ndarray]) -> Sequence[int]:
    """Return the rows that one part of a split expression selects."""
    text, bracket, rest = part.partition("[")
    kept = np.arange(len(fields[LABEL]))
    if any(sign in text for sign in "=<>"):
        for condition in text.split("&"):
            kept = kept[np.isin(kept, np.flatnonzero(_holds(name, condition, fields)))]
        name, text = f"{name} where {text.strip()}", "train"
        if not len(kept):
            raise UserError(f"{name}: there is no such file")
    ranges = resolve(f"{text.strip()}{bracket}{rest}", {"train": [len(kept)]}, name=name)
    return [int(row) for _, start, stop in ranges for row in kept[start:stop]]


def _holds(name: str, condition: str, fields: dict[str, np.ndarray]) -> np.ndarray:
    """Return for which rows a condition is true."""
    match = CONDITION.fullmatch(condition)
    if match is None:
        raise UserError(
            f"{name}: cannot read '{condition[:40]}': write take<5, fold!=3 or label==Rain"
        )
    key, sign, text = match.groups()
    if key not in fields:
        raise UserError(f"{name} has no field '{key}'{suggest(key, fields)}")
    values = fields[key]
    if values.dtype.kind != "i" and sign not in ("==", "=", "!="):
        raise UserError(f"{name}: '{condition.strip()}' compares names: use == or !=")
    if values.dtype.kind != "i":
        if text not in values:
            raise UserError(f"{name}: no {key} is '{text[:40]}'{suggest(text, np.unique(values))}")
        return OPERATORS[sign](values, text)
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        low, high = values.min(), values.max()
        raise UserError(
            f"{name}: '{text[:40]}' is no {key}, which are numbers from {low} to {high}"
        )
    return OPERATORS[sign](values, int(text))
