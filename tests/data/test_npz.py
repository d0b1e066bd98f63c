import numpy as np
import pytest

from cnnlab.data.npz import NpzSource
from cnnlab.errors import UserError

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (10, 4, 5, 3), np.uint8)
LABEL = np.arange(10) % 3


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    return str(tmp_path / "set.npz")


def test_image_and_label_are_one_split_called_train(tmp_path):
    source = NpzSource(saved(tmp_path, image=IMAGE, label=LABEL), "train[2:7]")
    assert len(source) == 5
    assert source.info.class_names == ("0", "1", "2")
    assert source.info.spec == {"image": ((4, 5, 3), "uint8"), "label": ((), "int32")}
    for i in range(5):
        np.testing.assert_array_equal(source[i]["image"], IMAGE[2 + i])
        assert source[i]["label"] == LABEL[2 + i]
        assert source[i]["label"].dtype == np.int32


def test_prefixed_arrays_are_splits(tmp_path):
    path = saved(
        tmp_path,
        train_image=IMAGE[:6],
        train_label=LABEL[:6],
        test_image=IMAGE[6:],
        test_label=LABEL[6:],
    )
    source = NpzSource(path, "test+train[:1]")
    labels = [int(source[i]["label"]) for i in range(len(source))]
    assert labels == [*LABEL[6:], LABEL[0]]
    np.testing.assert_array_equal(source[4]["image"], IMAGE[0])
    with pytest.raises(UserError, match=r"'validation'.*train \(6\), test \(4\)"):
        NpzSource(path, "validation")


def test_grey_images_get_a_channel(tmp_path):
    source = NpzSource(saved(tmp_path, image=IMAGE[..., 0], label=LABEL), "train")
    np.testing.assert_array_equal(source[3]["image"], IMAGE[3, :, :, :1])


def test_floats_from_0_to_1_are_scaled_to_bytes_and_back_exactly(tmp_path):
    path = saved(tmp_path, image=(IMAGE / 255).astype(np.float32), label=LABEL)
    np.testing.assert_array_equal(NpzSource(path, "train")[4]["image"], IMAGE[4])


def test_further_arrays_ride_along_and_classes_can_be_named(tmp_path):
    weight, names = RNG.normal(size=(10, 2)).astype(np.float32), np.array(["a", "b", "c"])
    path = saved(tmp_path, image=IMAGE, label=LABEL, weight=weight, class_names=names)
    source = NpzSource(path, "train")
    np.testing.assert_array_equal(source[7]["weight"], weight[7])
    assert source.info.class_names == ("a", "b", "c")


BAD = {
    "no label": ({"image": IMAGE}, "no array 'label'"),
    "no image": ({"pixels": IMAGE, "label": LABEL}, "wanted: image and label"),
    "lengths": ({"image": IMAGE, "label": LABEL[:9]}, r"'image' has shape .* 9 labels"),
    "extra length": ({"image": IMAGE, "label": LABEL, "w": np.ones(3)}, "'w' has shape"),
    "rank": ({"image": IMAGE[:, 0, 0], "label": LABEL}, r"shape \(10, 3\), wanted"),
    "channels first": ({"image": np.zeros((10, 3, 32, 32), np.uint8), "label": LABEL}, "moveaxis"),
    "one-hot": ({"image": IMAGE, "label": np.eye(3)[LABEL]}, "argmax"),
    "negative label": ({"image": IMAGE, "label": LABEL - 1}, "negative"),
    "float label": ({"image": IMAGE, "label": LABEL / 2}, "float64"),
    "float range": ({"image": IMAGE * 1.0, "label": LABEL}, "floats from 0 to 1"),
    "nan": ({"image": np.full((10, 4, 4), np.nan), "label": LABEL}, "floats from 0 to 1"),
    "int images": ({"image": IMAGE.astype(int), "label": LABEL}, "int64"),
    "objects": ({"image": IMAGE, "label": np.array([None] * 10)}, "Python objects"),
    "too few names": (
        {"image": IMAGE, "label": LABEL, "class_names": ["a"]},
        "label 2, but only 1",
    ),
    "unlike": (
        {
            "train_image": IMAGE,
            "train_label": LABEL,
            "test_image": IMAGE[:, 1:],
            "test_label": LABEL,
        },
        "differs between splits",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_arrays_that_make_no_set_are_refused_with_a_reason(tmp_path, case):
    arrays, message = BAD[case]
    with pytest.raises(UserError, match=message):
        NpzSource(saved(tmp_path, **arrays), "all")


def test_a_file_that_is_missing_or_no_archive_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        NpzSource(str(tmp_path / "gone.npz"), "train")
    for content in (b"", b"not an archive", b"PK\x03\x04 cut off"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(UserError, match=r"np\.savez"):
            NpzSource(str(tmp_path / "bad.npz"), "train")
