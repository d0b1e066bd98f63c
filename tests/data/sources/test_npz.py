import numpy as np
import pytest

from cnnlab.data.sources.npz import NpzSource
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
    "from 1": ({"image": IMAGE, "label": LABEL + 1}, "begin at 1, wanted 0: subtract 1"),
    "from 1 with names": (
        {"image": IMAGE, "label": LABEL + 1, "class_names": ["a", "b", "c"]},
        "label 3, but only 3 .*subtract 1",
    ),
    "column": ({"image": IMAGE, "label": LABEL[:, None]}, "squeeze"),
    "words": ({"image": IMAGE, "label": LABEL.astype(str)}, "return_inverse"),
    "bytes": ({"image": IMAGE, "label": LABEL.astype("S")}, "return_inverse"),
    "bool label": ({"image": IMAGE, "label": LABEL > 1}, r"bool of shape \(10,\); see"),
    "complex label": ({"image": IMAGE, "label": LABEL + 0j}, "complex128"),
    "beyond int32": ({"image": IMAGE, "label": LABEL + 2**32}, "more than 1,048,576 classes"),
    "near 2^31": ({"image": IMAGE, "label": LABEL + 2**31 - 9}, "more than 1,048,576 classes"),
    "unsigned": ({"image": IMAGE, "label": LABEL.astype("u8") + 2**63}, "more than"),
    "one name": ({"image": IMAGE, "label": LABEL, "class_names": "abc"}, "strings of shape"),
    "no pixels": ({"image": IMAGE[:, :0], "label": LABEL}, "no pixels"),
    "text images": ({"image": LABEL.astype("S")[:, None, None], "label": LABEL}, "images are"),
    "structured": ({"image": np.zeros((10, 4, 4), "i4,f4"), "label": LABEL}, "images are"),
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
    with pytest.raises(UserError, match=message) as caught:
        NpzSource(saved(tmp_path, **arrays), "all")
    assert ("negative" in str(caught.value)) == ("negative" in case)


def test_a_file_that_is_missing_or_no_archive_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        NpzSource(str(tmp_path / "gone.npz"), "train")
    for content in (b"", b"not an archive", b"PK\x03\x04 cut off"):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(UserError, match=r"np\.savez"):
            NpzSource(str(tmp_path / "bad.npz"), "train")


def test_one_array_is_refused_with_what_is_wanted(tmp_path):
    np.save(tmp_path / "x.npy", IMAGE)
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    with pytest.raises(UserError, match=r"one array.*np\.savez_compressed"):
        NpzSource(str(tmp_path / "x.npz"), "train")


def test_every_flipped_byte_of_a_file_is_read_or_refused_in_one_line(tmp_path):
    np.savez_compressed(tmp_path / "set.npz", image=IMAGE[:, :2, :2], label=LABEL)
    whole = (tmp_path / "set.npz").read_bytes()
    refused = 0
    for place in range(0, len(whole), 5):
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        (tmp_path / "set.npz").write_bytes(flipped)
        try:
            NpzSource(str(tmp_path / "set.npz"), "train")
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 50


def test_names_may_be_bytes_or_numbers_and_the_first_class_empty(tmp_path):
    names = np.array([b"b\xc3\xa4r", b"\xff", b"c", b"d"])
    path = saved(tmp_path, image=IMAGE, label=LABEL + 1, class_names=names)
    assert NpzSource(path, "train").info.class_names == ("bär", r"\xff", "c", "d")
    path = saved(tmp_path, image=IMAGE, label=LABEL, class_names=np.array([1998, 1999, 2000]))
    assert NpzSource(path, "train").info.class_names == ("1998", "1999", "2000")
