"""The pairs of Labeled Faces in the Wild, by which face verification is measured.

Huang et al. 2007, "Labeled Faces in the Wild", "View 2", and the README.txt of the set, section 3c:
ten folds of 300 pairs of one person and 300 pairs of two; no person is in two folds. What is chosen
(a threshold, say) is chosen on nine folds and tested on the tenth, ten times.

    10      300
    Abel_Pacheco      1       4                           the 1st and the 4th image of one person
    Abdel_Madi_Shabneh      1       Dean_Barker     1     images of two

The first line has the folds and the pairs of either kind in each; the lists of "View 1"
(`pairsDevTrain.txt`, `pairsDevTest.txt`) have one fold and so one number. Images are read by
`folder:/path/lfw`, where image 4 of Abel_Pacheco is `Abel_Pacheco/Abel_Pacheco_0004.jpg`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from cnnlab.errors import UserError
from cnnlab.utils.files import expand, read_file
from cnnlab.utils.registry import suggest


class Pairs(NamedTuple):
    """Pairs of examples.

    Attributes:
        first, second: indices of the examples among the files.
        same: whether both show one person.
        fold: number of the part that a pair belongs to, from 0.
    """

    first: Int64[np.ndarray, "n"]
    second: Int64[np.ndarray, "n"]
    same: Bool[np.ndarray, "n"]
    fold: Int64[np.ndarray, "n"]


def read_pairs(path: str, files: Sequence[str]) -> Pairs:
    """Return the pairs that a file lists, as indices into `files`.

    Args:
        path: of the list, such as `pairs.txt`.
        files: the images as `<class>/<file>`, such as
            `cnnlab.data.sources.source.load("folder:/path/lfw", "train").files()`.

    Raises:
        UserError: if the file cannot be read, if it is not laid out as in the module's docstring,
            or if an image it names is not among `files`.
    """
    try:
        lines = read_file(Path(expand(path))).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"cannot read the pairs in {path}: {why}") from error
    folds, each = _head(path, lines)
    wanted = 1 + folds * 2 * each
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) != wanted:
        raise UserError(
            f"{path} has {len(lines):,} lines, but {folds} fold(s) of {each} pairs of either kind "
            f"make {wanted:,} with the first: copy it again"
        )
    # Without their extension: copies of the set are not all JPEG.
    index = {file.rpartition(".")[0]: i for i, file in enumerate(files)}
    first, second, same = [], [], []
    for number, line in enumerate(lines[1:]):
        fields = line.split()
        alike = number // each % 2 == 0
        if len(fields) != (3 if alike else 4):
            form = "NAME NUMBER NUMBER" if alike else "NAME NUMBER NAME NUMBER"
            raise UserError(f"{path}, line {number + 2}: wanted {form}, not '{line.strip()}'")
        places = ((fields[0], fields[1]), (fields[-2] if not alike else fields[0], fields[-1]))
        one, other = (_find(path, number + 2, index, *place) for place in places)
        first.append(one)
        second.append(other)
        same.append(alike)
    fold = np.arange(len(first)) // (2 * each)
    return Pairs(np.array(first), np.array(second), np.array(same), fold)


def _head(path: str, lines: list[str]) -> tuple[int, int]:
    """Return the number of folds, and of pairs of either kind in each."""
    fields = lines[0].split() if lines else []
    if len(fields) not in (1, 2) or not all(f.isdecimal() and int(f) > 0 for f in fields):
        shown = lines[0].strip()[:40] if lines else ""
        raise UserError(
            f"{path} is no list of pairs: its first line is '{shown}', wanted FOLDS PAIRS as in "
            "'10 300', or PAIRS alone"
        )
    return (int(fields[0]) if len(fields) == 2 else 1), int(fields[-1])


def _find(path: str, line: int, index: dict[str, int], name: str, number: str) -> int:
    file = f"{name}/{name}_{int(number):04}" if number.isdecimal() else ""
    if file in index:
        return index[file]
    if not file:
        raise UserError(f"{path}, line {line}: '{number}' is no number of an image")
    people = {place.partition("/")[0] for place in index}
    hint = suggest(name, people).partition("; there are")[0] if name not in people else ""
    raise UserError(
        f"{path}, line {line}: there is no image {file} among the {len(index):,} of the set{hint}"
    )
