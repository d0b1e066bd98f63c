import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import cv2
import fabricated
import numpy as np
import pytest
import tensorflow_datasets as tfds

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.sources.source import SkipCorrupt, load
from cnnlab.errors import UserError

COUNT = 12
CORRUPT = 5


def digit(index):
    return np.random.default_rng(index).integers(0, 256, (28, 28, 1), np.uint8)


def png(image):
    return cv2.imencode(".png", image)[1].tobytes()


class Mnist(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Laid out as the real one; one image of test is cut off."""

    VERSION = tfds.core.Version("3.0.1")

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(False), "test": self._generate_examples(True)}

    def _generate_examples(self, damaged):
        for i in range(COUNT):
            data = png(digit(i))
            yield i, {"image": data[:40] if damaged and i == CORRUPT else data, "label": i % 10}


class Nested(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Nested features of many kinds, in a config."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="small", version=VERSION)]  # noqa: RUF012

    def _info(self):
        f = tfds.features
        objects = f.Sequence({"bbox": f.BBoxFeature(), "label": f.ClassLabel(names=["x", "y"])})
        features = {
            "image": f.Image(),
            "views": {"left": f.Image(shape=(None, None, 1))},
            "segmentation": f.LabeledImage(labels=3, shape=(None, None, 1)),
            "file_name": f.Text(),
            "score": np.float32,
            "objects": objects,
        }
        return tfds.core.DatasetInfo(
            builder=self, features=f.FeaturesDict(features), disable_shuffling=True
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in ("train", "test")}

    def _generate_examples(self, split):
        for i in range(3):
            color = np.full((4 + i, 5, 3), [10, 20, 30 + i], np.uint8)
            box = {"bbox": tfds.features.BBox(0.0, 0.25, 0.5, 1.0), "label": 1}
            yield (
                i,
                {
                    "image": png(color[..., ::-1]),
                    "views": {"left": png(color[..., 2:]) if split == "train" else b"damaged"},
                    "segmentation": png(np.full((3, 3), i, np.uint8)),
                    "file_name": f"{i}.png",
                    "score": i / 2,
                    "objects": [box] * i,
                },
            )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    for builder in (Mnist, Nested):
        builder(data_dir=folder, file_format="array_record").download_and_prepare(
            download_dir=folder / "downloads", download_config=config
        )
    return str(folder)


def test_a_standard_set_is_read_by_name(folder):
    source = load("mnist", "train", data_dir=folder)
    assert len(source) == COUNT
    assert source.info.class_names == tuple("0123456789")
    assert source.info.spec == {"image": ((28, 28, 1), "uint8"), "label": ((), "int32")}
    for i in range(COUNT):
        np.testing.assert_array_equal(source[i]["image"], digit(i))
        assert source[i]["label"] == i % 10
        assert source[i]["label"].dtype == np.int32


@pytest.mark.parametrize("name", ["mnist:3.0.1", "mnist:3.*.*"])
def test_a_version_may_be_named(folder, name):
    assert len(load(name, "train", data_dir=folder)) == COUNT


def test_split_expressions_select_the_examples_they_say(folder):
    labels = [int(e["label"]) for e in load("mnist", "train[25%:50%]+test[10:]", data_dir=folder)]
    assert labels == [3, 4, 5, 0, 1]
    with pytest.raises(UserError, match=r"'validation'.*train \(12\), test \(12\)"):
        load("mnist", "validation", data_dir=folder)


def test_many_threads_read_what_one_reads(folder):
    source = load("mnist", "train", data_dir=folder)
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda i: source[i % COUNT]["image"], range(20 * COUNT)))
    for i, image in enumerate(images):
        np.testing.assert_array_equal(image, digit(i % COUNT))


def test_a_source_travels_to_other_processes(folder):
    source = pickle.loads(pickle.dumps(load("mnist", "train", data_dir=folder)))
    np.testing.assert_array_equal(source[3]["image"], digit(3))


def test_a_corrupt_image_is_named_and_can_be_skipped(folder):
    source = load("mnist", "test", data_dir=folder)
    with pytest.raises(CorruptImage, match=rf"image of 'mnist' split 'test' \(index {CORRUPT}\)"):
        source[CORRUPT]
    part = load("mnist", "test[4:]", data_dir=folder)
    with pytest.raises(CorruptImage, match=rf"index {CORRUPT - 4}"):
        part[CORRUPT - 4]
    masked = SkipCorrupt(source, flag_valid=True)
    assert [bool(masked[i]["valid"]) for i in range(COUNT)] == [i != CORRUPT for i in range(COUNT)]
    assert masked[CORRUPT]["image"].shape == (28, 28, 1)


def test_a_corrupt_image_is_named_by_its_file_where_the_set_tells(folder):
    with pytest.raises(CorruptImage, match=r"image 2\.png of 'nested' split 'test' \(index 2\)"):
        load("nested", "test", data_dir=folder)[2]


def test_nested_features_become_flat_arrays(folder):
    source = load("nested/small", "train", data_dir=folder)
    assert source.info.spec == {
        "image": ((None, None, 3), "uint8"),
        "views/left": ((None, None, 1), "uint8"),
        "segmentation": ((None, None, 1), "uint8"),
        "file_name": ((), "bytes"),
        "score": ((), "float32"),
        "objects/bbox": ((None, 4), "float32"),
        "objects/label": ((None,), "int64"),
        "boxes": ((None, 4), "float32"),
        "classes": ((None,), "int32"),
    }
    for i in range(3):
        example = source[i]
        np.testing.assert_array_equal(example["image"], np.full((4 + i, 5, 3), [10, 20, 30 + i]))
        np.testing.assert_array_equal(example["views/left"], np.full((4 + i, 5, 1), 30 + i))
        np.testing.assert_array_equal(example["segmentation"], np.full((3, 3, 1), i))
        assert example["file_name"] == f"{i}.png".encode()
        assert example["score"] == np.float32(i / 2)
        np.testing.assert_array_equal(
            example["objects/bbox"], np.tile([[0, 0.25, 0.5, 1]], (i, 1)), strict=False
        )
        assert example["objects/bbox"].shape == (i, 4)
        np.testing.assert_array_equal(example["objects/label"], np.ones(i))


def test_a_default_config_is_found(folder):
    assert len(load("nested", "train", data_dir=folder)) == 3


def test_a_set_that_is_not_prepared_says_how_to(tmp_path):
    command = rf"CNNLAB_DATA={tmp_path} python launch.py data prepare imagenette/320px-v2"
    with pytest.raises(UserError, match=command):
        load("imagenette/320px-v2", "train", data_dir=str(tmp_path))
    assert not any(tmp_path.iterdir())


def test_what_is_there_instead_is_listed(folder):
    with pytest.raises(UserError, match=r"only nested/small:1\.0\.0 is"):
        load("nested/large", "train", data_dir=folder)
    with pytest.raises(UserError, match=r"only mnist:3\.0\.1 is"):
        load("mnist:2.0.0", "train", data_dir=folder)


def changed(folder, tmp_path, change):
    """A copy of the set with another dataset_info.json."""
    place = tmp_path / "mnist" / "3.0.1"
    place.mkdir(parents=True)
    for file in (load_dir := tfds.core.Path(folder) / "mnist" / "3.0.1").iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    info = change((load_dir / "dataset_info.json").read_text())
    (place / "dataset_info.json").write_text(info)
    return place


def test_tfrecord_sets_are_refused_with_what_to_do(folder, tmp_path):
    def change(text):
        return json.dumps({**json.loads(text), "fileFormat": "tfrecord"})

    place = changed(folder, tmp_path, change)
    with pytest.raises(UserError, match=rf"{place} is in tfrecord format.*data prepare mnist"):
        load("mnist", "train", data_dir=str(tmp_path))


def test_damaged_sets_are_refused_with_what_to_do(folder, tmp_path):
    place = changed(folder, tmp_path, lambda text: text)
    file = place / "mnist-train.array_record-00000-of-00001"
    file.unlink()
    with pytest.raises(UserError, match=f"{file} is missing: delete {place}"):
        load("mnist", "train", data_dir=str(tmp_path))
    assert len(load("mnist", "test", data_dir=str(tmp_path))) == COUNT
    (place / "dataset_info.json").write_text("{")
    with pytest.raises(UserError, match=rf"'mnist' in {tmp_path} is damaged, .*JSON"):
        load("mnist", "test", data_dir=str(tmp_path))


def test_omniglot_is_read_with_its_names_and_alphabets(tmp_path):
    fabricated.fabricate("omniglot", tmp_path)
    source = load("omniglot", "train", data_dir=str(tmp_path))
    assert source.info.spec == {
        "image": ((105, 105, 3), "uint8"),
        "label": ((), "int32"),
        "alphabet": ((), "int64"),
        "alphabet_char_id": ((), "int64"),
    }
    assert (len(source), len(source.info.class_names)) == (80, 1623)
    assert source.info.class_names[162] == "Alphabet_162"
    # Shuffled by the library: the same examples in another order.
    counts = np.bincount(source.labels(), minlength=1623)
    assert [int(counts[i * 162]) for i in range(10)] == [8] * 10
    for index in range(0, 80, 13):
        example = source[index]
        number = int(example["label"]) // 162
        assert (example["alphabet"], example["alphabet_char_id"]) == divmod(number, 5)
        values = np.unique(example["image"])
        np.testing.assert_array_equal(values, [0, 255])
        assert (example["image"] == 255).mean() > 0.9  # ink is dark
