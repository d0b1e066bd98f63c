"""One example, one identity, whatever way leads to it."""

import numpy as np
import pytest
from list_source import ListSource
from PIL import Image

from cnnlab.data.sources.identity import ids_of, unwrap
from cnnlab.data.sources.source import SkipCorrupt, load
from cnnlab.data.sources.subset import Subset


@pytest.fixture
def folder(tmp_path):
    for part, count in (("train", 6), ("val", 2)):
        for name in ("cat", "dog"):
            place = tmp_path / part / name
            place.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (3, 3)).save(place / f"{i}.png")
    return f"folder:{tmp_path}"


@pytest.fixture
def npz(tmp_path):
    arrays = {"image": np.zeros((12, 3, 3), np.uint8), "label": np.arange(12) % 2}
    both = {f"{part}_{key}": x for part in ("train", "validation") for key, x in arrays.items()}
    np.savez(tmp_path / "x.npz", **both)
    return f"npz:{tmp_path}/x.npz"


@pytest.mark.parametrize("kind", ["folder", "npz", "digits"])
def test_split_expressions_share_what_they_have_in_common(kind, request):
    name = kind if kind == "digits" else request.getfixturevalue(kind)
    every = ids_of(load(name, "train"))
    assert len(set(every.tolist())) == len(every)
    half = len(every) // 2
    np.testing.assert_array_equal(ids_of(load(name, f"train[{half}:]")), every[half:])
    np.testing.assert_array_equal(ids_of(load(name, f"train[:{half}]")), every[:half])
    mixed = load(name, f"validation+train[:{half}]")
    rest = ids_of(load(name, "validation"))
    np.testing.assert_array_equal(ids_of(mixed), np.concatenate([rest, every[:half]]))
    assert not set(rest.tolist()) & set(every.tolist())


def test_views_have_the_identities_of_what_they_show(folder):
    source = load(folder, "train")
    part = Subset(source, classes=("dog",), per_class=3, seed=1)
    again = SkipCorrupt(part)
    np.testing.assert_array_equal(ids_of(again), ids_of(source)[part.indices])
    root, indices = unwrap(again)
    assert root is source
    np.testing.assert_array_equal(indices, part.indices)


def test_a_link_to_a_file_and_another_name_of_a_folder_are_the_same(folder, tmp_path):
    root = tmp_path / "train"
    (tmp_path / "links" / "cat").mkdir(parents=True)
    (tmp_path / "links" / "cat" / "other.png").symlink_to(root / "cat" / "0.png")
    (tmp_path / "links" / "dog").symlink_to(root / "dog")
    every = set(ids_of(load(folder, "train")).tolist())
    linked = set(ids_of(load(f"folder:{tmp_path}/links", "train")).tolist())
    assert len(linked) == 7
    assert linked < every
    assert set(ids_of(load(f"folder:{root}/../train", "train")).tolist()) == every


def test_a_source_that_says_nothing_is_known_by_its_name_and_split():
    one, other = ListSource(5), ListSource(5)
    np.testing.assert_array_equal(ids_of(one), ids_of(other))
    assert len(set(ids_of(one).tolist())) == 5
