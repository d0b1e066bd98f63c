"""Verification on listed pairs: the file says which rows, the folds say how it is judged."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.sources.source import SkipCorrupt, load
from cnnlab.errors import UserError
from cnnlab.evaluators import Features
from cnnlab.evaluators.lfw_protocol import listed_pairs

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
    query = Features(rows, {"label": np.array([0, 0, 1, 1])}, source)
    return listed_pairs(query, train=query, val=query, seed=0, similarity=None, **own)


def test_people_who_lie_together_are_reported_and_others_are_not(faces):
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


def test_a_skipped_image_shifts_no_pair(faces):
    source, file = faces
    lines = LINES.replace("2\t1", "2\t2", 1).splitlines()
    # Each pair twice: one of a kind is left in every fold without Ann's first image.
    twice = [
        lines[0],
        *(line for fold in (1, 3) for kind in (0, 1) for line in [lines[fold + kind]] * 2),
    ]
    twice[2], twice[4] = "Ann_Lee\t2\t2", "Ann_Lee\t2\tBo_Ek\t2"
    Path(file).write_text("\n".join(twice))
    good = {"Ann_Lee_0002": [1, 0.1], "Bo_Ek_0001": [0, 1], "Bo_Ek_0002": [0.1, 1]}
    names = [name.rpartition("/")[2].removesuffix(".png") for name in source.files()]
    index = np.array([i for i, name in enumerate(names) if name in good])
    rows = np.array([good[names[i]] for i in index], np.float32)
    labels = {"label": np.array([names[i] > "B" for i in index]).astype(int)}
    query = Features(rows, labels, SkipCorrupt(source, flag_valid=True), index)
    got = listed_pairs(query, train=query, val=query, seed=0, similarity=None, file=file)
    assert got.values["accuracy"] == 1.0
    assert got.setting == "cosine, 2 folds, 6 given pairs, 2 with a corrupt image left out"
