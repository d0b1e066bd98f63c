import hashlib
import pickle

import numpy as np
import pytest
from published import cifar10, cifar10_python, real

from cnnlab.data.sources.cifar import CifarSource
from cnnlab.data.sources.source import load
from cnnlab.errors import UserError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (6, 2, 32, 32, 3), np.uint8)
LABELS = np.arange(12).reshape(6, 2) % 2


@pytest.mark.parametrize("write", [cifar10, cifar10_python])
@pytest.mark.parametrize("itself", [False, True])
def test_five_batches_train_and_one_tests(tmp_path, write, itself):
    folder = write(tmp_path, IMAGES, LABELS)
    source = load(f"cifar:{folder if itself else tmp_path}", "train[3:]")
    assert len(source) == 7
    assert source.info.class_names == ("cat", "dog")
    assert source.info.spec == {"image": ((32, 32, 3), "uint8"), "label": ((), "int32")}
    np.testing.assert_array_equal(source[0]["image"], IMAGES[1, 1])
    np.testing.assert_array_equal(source.labels(), LABELS[:5].ravel()[3:])
    test = load(f"cifar:{tmp_path}", "test")
    np.testing.assert_array_equal([test[i]["image"] for i in (0, 1)], IMAGES[5])


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
def test_pickles_of_every_protocol_are_read(tmp_path, protocol):
    cifar10_python(tmp_path, IMAGES, LABELS, protocol=protocol)
    source = CifarSource(str(tmp_path), "train")
    np.testing.assert_array_equal(source[9]["image"], IMAGES[4, 1])


def hundred(folder):
    """Write CIFAR-100 in both forms."""
    binary, python = folder / "cifar-100-binary", folder / "cifar-100-python"
    for part in (binary, python):
        part.mkdir()
    (binary / "fine_label_names.txt").write_text("apple\nfish\nbaby\n")
    meta = {"fine_label_names": ["apple", "fish", "baby"], "coarse_label_names": ["a", "b"]}
    (python / "meta").write_bytes(pickle.dumps(meta, 2))
    for i, name in enumerate(("train", "test")):
        pixels = IMAGES[i].transpose(0, 3, 1, 2).reshape(2, -1)
        rows = np.concatenate([np.uint8([[1, 2], [0, 1]]), pixels], axis=1)
        (binary / f"{name}.bin").write_bytes(rows.tobytes())
        content = {"coarse_labels": [1, 0], "fine_labels": [2, 1], "data": pixels}
        (python / name).write_bytes(pickle.dumps(content, 2))


@pytest.mark.parametrize("form", ["cifar-100-binary", "cifar-100-python"])
def test_cifar_100_has_fine_and_coarse_labels(tmp_path, form):
    hundred(tmp_path)
    source = CifarSource(str(tmp_path / form), "test")
    assert source.info.class_names == ("apple", "fish", "baby")
    assert [int(source[i]["label"]) for i in (0, 1)] == [2, 1]
    assert [int(source[i]["coarse_label"]) for i in (0, 1)] == [1, 0]
    np.testing.assert_array_equal(source[1]["image"], IMAGES[1, 1])


def test_one_of_two_sets_has_to_be_named(tmp_path):
    hundred(tmp_path)
    cifar10(tmp_path, IMAGES, LABELS)
    with pytest.raises(UserError, match=r"name one, cifar:.*cifar-10-batches-bin or cifar:"):
        CifarSource(str(tmp_path), "train")


def test_a_missing_set_says_where_it_is_published(tmp_path):
    with pytest.raises(UserError, match="Alex Krizhevsky's page"):
        CifarSource(str(tmp_path), "train")


def test_the_real_set_has_the_pixels_of_its_checksum():
    for split, digest in (("train", "834552a1007f305f"), ("test", "31fb9e9628079d95")):
        source = CifarSource(str(real("cifar10")), split)
        assert hashlib.sha256(source._rows["image"]).hexdigest().startswith(digest)
    assert source.info.class_names[::9] == ("airplane", "truck")
