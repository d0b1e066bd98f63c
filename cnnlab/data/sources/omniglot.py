"""`omniglot:/folder`: characters of 50 alphabets by 20 drawers each (Lake et al. 2015).

    images_background/ALPHABET/characterNN/NNNN_DD.png     30 alphabets
    images_evaluation/ALPHABET/characterNN/NNNN_DD.png     20 alphabets
    all_runs/runNN/class_labels.txt, training, test        the published one-shot runs

    split                          drawings
    train, or background           of images_background
    test, or evaluation            of images_evaluation
    vinyals_train                  1,028 characters x 4 rotations, each a class
    vinyals_validation               172 x 4
    vinyals_test                     423 x 4
    runs                           one-shot runs, see below

Vinyals et al. 2016 mix both folders and take a rotation by 90, 180 or 270 degrees for another
class. The lists of characters are those of Snell et al. 2017, who divide Vinyals' 1,200 training
characters into 1,028 and 172 (`vinyals_train+vinyals_validation` has all): whole alphabets, but for
Gurmukhi.

    image     uint8 (105, 105, 1), ink dark (0) on white (255)
    label     int32, number of the character in the order of the folders; rotated by k x 90
              degrees counterclockwise, k x characters + number
    alphabet  int32, in the order of the folders
    drawer    int32, the file's DD - 1

Drawings are listed by character, rotation and drawer, so that `train[:80%]` is 24 alphabets, but
for where it cuts one in two. In `runs`, alphabet is the number of the run, drawer 0 drew the
examples that are given, 1 those to be recognized, and label is a number of run and class.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab.data.preprocess.decode import CorruptImage, decode
from cnnlab.data.sources.identity import file_ids
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.omniglot_runs import Drawing, read_runs
from cnnlab.data.sources.splits import resolve
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.files import expand

FOLDERS = {"background": "images_background", "evaluation": "images_evaluation"}
ALIASES = {"train": "background", "test": "evaluation"}
DRAWING = re.compile(r"\d+_(\d+)\.png", re.ASCII)
SIZE, ROTATIONS = 105, 4
# Of both, the characters from the 42nd on are in vinyals_test.
SHARED, FIRST = "Gurmukhi", 42
VALIDATION = ("Armenian", "Bengali", "Early_Aramaic", "Hebrew", "Mkhedruli_(Georgian)")
TEST = (
    *("Kannada", "Keble", "Malayalam", "Manipuri", "Mongolian", "Old_Church_Slavonic_(Cyrillic)"),
    *("Oriya", "Syriac_(Serto)", "Sylheti", "Tengwar", "Tibetan", "ULOG"),
)
PUBLISHED = (
    "Omniglot is published in the repository 'omniglot' of Brenden Lake: unpack "
    "images_background.zip, images_evaluation.zip and, for the one-shot runs, all_runs.zip into "
    "the folder"
)


class Character(NamedTuple):
    """A character: its alphabet, its number in it, its name and its drawings."""

    alphabet: str
    number: int
    name: str
    drawings: list[Drawing]


class OmniglotSource:
    """Drawings of characters with their alphabet and drawer."""

    def __init__(self, path: str, split: str):
        """List the drawings that `split` selects; none is opened yet.

        Raises:
            UserError: there is no such set, an alphabet has no characters, a character fewer than
                two drawings, or a run lacks what its list names.
        """
        name, self._root = f"omniglot:{path}", Path(expand(path))
        parts = _read(name, self._root)
        characters = [character for part in parts.values() for character in part]
        plain = {key: _drawings(part) for key, part in parts.items()}
        splits = {alias: plain[part] for alias, part in ALIASES.items() if part in plain} | plain
        names = [character.name for character in characters]
        splits |= {
            f"vinyals_{key}": _drawings(part, range(ROTATIONS), len(names))
            for key, part in _vinyals(characters).items()
        }
        splits["runs"], run_names = read_runs(self._root)
        lengths = {key: [len(drawings)] for key, drawings in splits.items() if drawings}
        ranges = resolve(split, lengths, name=name)
        keys = {key for key, _, _ in ranges}
        if "runs" in keys and len(keys) > 1:
            raise UserError(f"{name}: '{split}' adds runs to others, and their labels differ")
        self._list = [d for key, start, stop in ranges for d in splits[key][start:stop]]
        if "runs" in keys:
            names = run_names
        elif any(key.startswith("vinyals") for key in keys):
            names += [f"{n}/rot{90 * k:03}" for k in range(1, ROTATIONS) for n in names]
        numbers = dict.fromkeys(("label", "alphabet", "drawer"), ((), "int32"))
        self.info = Info(
            name, split, tuple(names), {"image": ((SIZE, SIZE, 1), "uint8"), **numbers}
        )

    def __len__(self) -> int:
        return len(self._list)

    def labels(self) -> np.ndarray:
        """Return every label; no image is opened."""
        return np.array([drawing.label for drawing in self._list], np.int32)

    def files(self) -> list[str]:
        """Return every file as it lies in the folder."""
        return [drawing.place for drawing in self._list]

    def ids(self) -> np.ndarray:
        """Return the identity of every drawing and rotation; see `cnnlab.data.sources.identity`."""
        ids = file_ids((self._root, drawing.place) for drawing in self._list)
        return ids + np.array([drawing.rotation for drawing in self._list], np.uint64)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        place, *numbers, rotation = self._list[index]
        image = decode(self._root / place, channels=1, index=int(index))
        if image.shape != (SIZE, SIZE, 1):
            found = " x ".join(map(str, image.shape[:2]))
            raise CorruptImage(str(self._root / place), int(index), f"{found} pixels, not {SIZE}^2")
        keys = zip(("label", "alphabet", "drawer"), numbers, strict=True)
        rotated = np.ascontiguousarray(np.rot90(image, rotation))
        return {"image": rotated, **{key: np.asarray(n, np.int32) for key, n in keys}}


def _read(name: str, root: Path) -> dict[str, list[Character]]:
    """Return the characters of the two folders, those that are there."""
    if not root.is_dir():
        raise MissingData(f"{name}: there is no such folder; {PUBLISHED}")
    parts: dict[str, list[Character]] = {}
    alphabets = labels = 0
    for part, folder in FOLDERS.items():
        if not (root / folder).is_dir():
            continue
        parts[part] = []
        for alphabet in _subfolders(root / folder):
            characters = _subfolders(alphabet)
            if not characters:
                raise UserError(f"{name}: the alphabet {alphabet} has no characters; {PUBLISHED}")
            for number, character in enumerate(characters, 1):
                place = character.relative_to(root).as_posix()
                drawings = [
                    Drawing(f"{place}/{file.name}", labels, alphabets, int(match[1]) - 1)
                    for file in sorted(character.iterdir())
                    if (match := DRAWING.fullmatch(file.name))
                ]
                if len(drawings) < 2:
                    raise UserError(
                        f"{name}: {character} has {len(drawings)} drawing(s) called NNNN_DD.png, "
                        "and one-shot learning needs two drawers or more; unpack the set again"
                    )
                title = f"{alphabet.name}/{character.name}"
                parts[part].append(Character(alphabet.name, number, title, drawings))
                labels += 1
            alphabets += 1
    if not any(parts.values()):
        raise UserError(f"{name} has no alphabets in {' or '.join(FOLDERS.values())}; {PUBLISHED}")
    return parts


def _subfolders(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))


def _vinyals(characters: list[Character]) -> dict[str, list[Character]]:
    """Return the characters of each of Vinyals' splits."""
    splits: dict[str, list[Character]] = {"train": [], "validation": [], "test": []}
    for character in characters:
        late = character.alphabet == SHARED and character.number >= FIRST
        of_test = late or character.alphabet in TEST
        of_validation = character.alphabet in VALIDATION
        key = "test" if of_test else "validation" if of_validation else "train"
        splits[key].append(character)
    return splits


def _drawings(
    characters: list[Character], rotations: range = range(1), count: int = 0
) -> list[Drawing]:
    """Return the drawings by character, rotation and drawer, rotation k with label + k x count."""
    return [
        drawing._replace(label=drawing.label + k * count, rotation=k)
        for character in characters
        for k in rotations
        for drawing in character.drawings
    ]
