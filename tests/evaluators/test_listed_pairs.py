"""Verification on listed pairs: the file says which rows, the folds say how it is judged."""

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.source import load
from cnnlab.errors import UserError
from cnnlab.evaluators import Embedded
from cnnlab.evaluators.listed_pairs import listed_pairs

PEOPLE = ("Ann_Lee", "Bo_Ek")
FILES = [f"{name}/{name}_000{i}.png" for name in PEOPLE for i in (1, 2)]
# Two folds of one pair of either kind.
LINES = "2\t1\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBo_Ek\t2\nBo_Ek\t1\t2\nAnn_Lee\t2\tBo_Ek\t1\n"


@pytest.fixture
def faces(tmp_path):
    for name in PEOPLE:
        folder = tmp_path / "faces" / name
        folder.mkdir(parents=True)
        for i in (1, 2):
            Image.new("RGB", (4, 4)).save(folder / f"{name}_{i:04}.png")
    (tmp_path / "pairs.txt").write_text(LINES)
    return load(f"folder:{tmp_path / 'faces'}", "train"), str(tmp_path / "pairs.txt")


def judge(features, source, **own):
    """`features` are of Ann 1, Ann 2, Bo 1, Bo 2, whatever the order of the source."""
    rows = np.array(features, np.float32)
    if source is not None:
        rows = rows[[FILES.index(name) for name in source.files()]]
    query = Embedded(rows, {"label": np.array([0, 0, 1, 1])}, source)
    return listed_pairs(query, bank=query, tune=query, seed=0, similarity=None, **own)


def test_people_who_lie_together_are_told_and_others_are_not(faces):
    source, file = faces
    apart = judge([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], source, file=file)
    assert apart.values["accuracy"] == 1.0
    crossed = judge([[1, 0], [0, 1], [0.1, 1], [1, 0.1]], source, file=file)
    assert crossed.values["accuracy"] <= 0.5  # chance


def test_what_cannot_be_judged_is_refused(faces):
    source, file = faces
    with pytest.raises(UserError, match="name the list"):
        judge(np.eye(4), source)
    with pytest.raises(UserError, match="source folder:PATH"):
        judge(np.eye(4), None, file=file)
