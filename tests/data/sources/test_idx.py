import numpy as np
import pytest
from published import idx, mnist, real

from cnnlab.data.sources.idx import IdxSource
from cnnlab.data.sources.source import load
from cnnlab.errors import UserError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 5, 4), np.uint8)
LABELS = np.array([0, 3, 1, 2, 0, 1, 2], np.uint8)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dots", [False, True])
@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_the_four_files_are_train_and_test(tmp_path, zipped, dots, below):
    mnist(tmp_path / below, IMAGES, LABELS, zipped=zipped, dots=dots)
    mnist(tmp_path / below, IMAGES[:2], LABELS[:2], "t10k", zipped=zipped, dots=dots)
    source = load(f"idx:{tmp_path}", "train[2:]+test")
    assert len(source) == 7
    assert source.info.class_names == ("0", "1", "2", "3")
    assert source.info.spec == {"image": ((5, 4, 1), "uint8"), "label": ((), "int32")}
    np.testing.assert_array_equal(source[0]["image"], IMAGES[2, ..., None])
    np.testing.assert_array_equal(source[6]["image"], IMAGES[1, ..., None])
    np.testing.assert_array_equal(source.labels(), [*LABELS[2:], *LABELS[:2]])


def test_rows_keep_their_identity_in_every_split_expression(tmp_path):
    mnist(tmp_path, IMAGES, LABELS)
    whole, part = IdxSource(str(tmp_path), "train"), IdxSource(str(tmp_path), "train[3:]")
    np.testing.assert_array_equal(whole.ids()[3:], part.ids())


def test_images_of_four_axes_have_channels(tmp_path):
    (tmp_path / "train-images-idx4-ubyte").write_bytes(idx(np.ones((2, 3, 3, 2))))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx([1, 0]))
    assert IdxSource(str(tmp_path), "train")[0]["image"].shape == (3, 3, 2)


def test_a_missing_set_says_where_it_is_published(tmp_path):
    with pytest.raises(UserError, match="The MNIST database of handwritten digits"):
        IdxSource(str(tmp_path), "train")
    mnist(tmp_path, IMAGES, LABELS)
    with pytest.raises(UserError, match=r"'test'.*train \(7\)"):
        IdxSource(str(tmp_path), "test")


def test_real_mnist_is_read_to_the_byte():
    source = IdxSource(str(real("mnist")), "train")
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(source.labels()).tolist() == counts
    test = IdxSource(str(real("mnist")), "test")
    assert np.bincount(test.labels()).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]
    # The mean and deviation of configs/mnist_lenet5.py.
    pixels = source._rows["image"] / np.float32(255)
    assert (round(float(pixels.mean()), 4), round(float(pixels.std()), 4)) == (0.1307, 0.3081)
