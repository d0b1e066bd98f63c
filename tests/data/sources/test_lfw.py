import numpy as np
import pytest
from PIL import Image

from cnnlab.data.sources.lfw import Pairs, read_pairs
from cnnlab.data.sources.source import load
from cnnlab.errors import UserError

PEOPLE = {"Ann_Lee": 3, "Bo_Ek": 2, "Cy_de_Wit": 1, "Di_Ng": 2}
# Two folds of two pairs of either kind.
LINES = """2\t2
Ann_Lee\t1\t3
Bo_Ek\t1\t2
Ann_Lee\t2\tBo_Ek\t1
Bo_Ek\t2\tAnn_Lee\t3
Di_Ng\t1\t2
Di_Ng\t2\t1
Cy_de_Wit\t1\tDi_Ng\t2
Di_Ng\t1\tCy_de_Wit\t1
"""


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    root = tmp_path_factory.mktemp("lfw")
    for number, (name, count) in enumerate(PEOPLE.items()):
        (root / name).mkdir()
        for i in range(1, count + 1):
            color = (10 * number, i, 0)
            Image.new("RGB", (4, 4), color).save(root / name / f"{name}_{i:04}.png")
    return load(f"folder:{root}", "train")


def read(tmp_path, faces, text):
    (tmp_path / "pairs.txt").write_text(text)
    return read_pairs(str(tmp_path / "pairs.txt"), faces.files())


def shown(faces, index):
    """Who an image shows, and its number."""
    pixel = faces[int(index)]["image"][0, 0]
    return list(PEOPLE)[pixel[0] // 10], int(pixel[1])


def test_pairs_point_at_the_images_they_name(tmp_path, faces):
    pairs = read(tmp_path, faces, LINES)
    assert isinstance(pairs, Pairs)
    for i, line in enumerate(LINES.splitlines()[1:]):
        fields = line.split()
        first, second = (shown(faces, pairs[side][i]) for side in (0, 1))
        assert first == (fields[0], int(fields[1]))
        assert second == (fields[-2] if len(fields) == 4 else fields[0], int(fields[-1]))
        assert pairs.same[i] == (first[0] == second[0])
    assert pairs.same.tolist() == [True, True, False, False] * 2
    assert pairs.fold.tolist() == [0] * 4 + [1] * 4


def test_one_number_in_the_first_line_is_one_fold(tmp_path, faces):
    text = "1\nAnn_Lee\t1\t2\nAnn_Lee\t1\tBo_Ek\t2\n\n"
    pairs = read(tmp_path, faces, text)
    assert pairs.same.tolist() == [True, False]
    assert pairs.fold.tolist() == [0, 0]


def test_labels_agree_with_same(tmp_path, faces):
    pairs, labels = read(tmp_path, faces, LINES), faces.labels()
    np.testing.assert_array_equal(labels[pairs.first] == labels[pairs.second], pairs.same)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2\t2\n", "Ann_Lee\t1\t3\n", "no list of pairs: its first line is 'Ann_Lee"),
        ("2\t2\n", "0\t2\n", "no list of pairs"),
        ("2\t2\n", "10\t300\n", r"9 lines, but 10 fold\(s\) of 300 pairs .* make 6,001"),
        ("Bo_Ek\t1\t2", "Bo_Ek\t1\tAnn_Lee\t2", "line 3: wanted NAME NUMBER NUMBER, not 'Bo_Ek"),
        ("Ann_Lee\t2\tBo_Ek\t1", "Ann_Lee\t2\t1", "line 4: wanted NAME NUMBER NAME NUMBER"),
        ("Bo_Ek\t1\t2", "Bo_Ek\t1\t7", "line 3: there is no image Bo_Ek/Bo_Ek_0007 among the 8"),
        ("Bo_Ek\t1\t2", "Bo_Eck\t1\t2", "line 3: .*did you mean 'Bo_Ek'"),
        ("Bo_Ek\t1\t2", "Bo_Ek\t1\tx", "line 3: 'x' is no number"),
    ],
)
def test_a_list_that_cannot_be_is_refused_by_its_line(tmp_path, faces, old, new, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, faces, LINES.replace(old, new, 1))


def test_a_file_that_is_missing_or_none_is_named(tmp_path, faces):
    with pytest.raises(UserError, match=r"cannot read the pairs in .*gone\.txt: No such file"):
        read_pairs(str(tmp_path / "gone.txt"), faces.files())
    (tmp_path / "pairs.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="it is no text"):
        read_pairs(str(tmp_path / "pairs.txt"), faces.files())
    with pytest.raises(UserError, match="its first line is ''"):
        read(tmp_path, faces, "")
