"""The 20 one-shot runs of Omniglot: recognition by one example each (Lake et al. 2015).

    all_runs/runNN/training/classNN.png    one example of each of 20 characters, all by one drawer
    all_runs/runNN/test/itemNN.png         the same characters by another
    all_runs/runNN/class_labels.txt        "run01/test/item01.png run01/training/class08.png", ...

All characters of a run are of one alphabet of images_evaluation.
"""

from pathlib import Path
from typing import NamedTuple

from cnnlab.errors import UserError
from cnnlab.utils.files import read_file

FOLDER, LIST = "all_runs", "class_labels.txt"
GIVEN, ASKED = "training", "test"


class Drawing(NamedTuple):
    """A drawing: where it lies in the folder of the set, and what it shows."""

    place: str
    label: int
    alphabet: int
    drawer: int
    rotation: int = 0


def read_runs(root: Path) -> tuple[list[Drawing], list[str]]:
    """Return the drawings of all runs, and the names of their classes; none where no run lies.

    Args:
        root: the folder of the set.

    Raises:
        UserError: a list cannot be read, or names an image that is not there.
    """
    drawings: list[Drawing] = []
    names: list[str] = []
    for number, path in enumerate(sorted((root / FOLDER).glob(f"*/{LIST}"))):
        run = path.parent
        labels = {}
        for file in sorted((run / GIVEN).glob("*.png")):
            labels[file.name] = len(names)
            drawings.append(
                Drawing(f"{FOLDER}/{run.name}/{GIVEN}/{file.name}", len(names), number, 0)
            )
            names.append(f"{run.name}/{file.stem}")
        for line, (item, example) in enumerate(_lines(path), 1):
            asked, given = Path(item).name, Path(example).name
            if given not in labels or not (run / ASKED / asked).is_file():
                raise UserError(
                    f"{path}, line {line}: there is no {item} or no {example}; unpack all_runs.zip "
                    "again"
                )
            place = f"{FOLDER}/{run.name}/{ASKED}/{asked}"
            drawings.append(Drawing(place, labels[given], number, 1))
    return drawings, names


def _lines(path: Path) -> list[list[str]]:
    """Return the two files of each line of a list."""
    try:
        text = read_file(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UserError(f"cannot read {path}: {why}; unpack all_runs.zip again") from error
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for number, fields in enumerate(lines, 1):
        if len(fields) != 2:
            raise UserError(
                f"{path}, line {number}: wanted 'runNN/test/itemNN.png runNN/training/classNN.png'"
            )
    if not lines:
        raise UserError(f"{path} is empty: unpack all_runs.zip again")
    return lines
