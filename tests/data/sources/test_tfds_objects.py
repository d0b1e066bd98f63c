"""TFDS's coco and voc, laid out as the library prepares them: boxes, classes and flags."""

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from cnnlab.data.preprocess.transforms import preprocess
from cnnlab.data.sources.source import load
from cnnlab.errors import MissingData

f = tfds.features
SIZE = (20, 40)


class Laid(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Two images, with three objects and with none."""

    VERSION = tfds.core.Version("1.0.0")
    FEATURES: dict
    OBJECTS: list
    MORE: dict

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=f.FeaturesDict(self.FEATURES), disable_shuffling=True
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number, objects in enumerate((self.OBJECTS, [])):
            data = cv2.imencode(".png", np.zeros((*SIZE, 3), np.uint8))[1].tobytes()
            yield number, {"image": data, "objects": objects, **self.MORE}


class Coco(Laid, skip_registration=True):
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="2017", version=Laid.VERSION)]  # noqa: RUF012
    FEATURES = {  # noqa: RUF012
        "image": f.Image(),
        "image/filename": f.Text(),
        "image/id": np.int64,
        "objects": f.Sequence(
            {
                "area": np.int64,
                "bbox": f.BBoxFeature(),
                "id": np.int64,
                "is_crowd": np.bool_,
                "label": f.ClassLabel(names=["person", "dog"]),
            }
        ),
    }
    MORE = {"image/filename": "a.png", "image/id": 42}  # noqa: RUF012
    OBJECTS = [  # noqa: RUF012
        {"area": 99, "bbox": f.BBox(*map(float, box)), "id": 1, "is_crowd": crowd, "label": label}
        for box, crowd, label in (
            ((0, 0.25, 0.5, 1), False, 1),
            ((0.5, 0.5, 0.5, 0.6), False, 0),
            ((0.1, 0.1, 1, 1), True, 0),
        )
    ]


class Voc(Laid, skip_registration=True):
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="2007", version=Laid.VERSION)]  # noqa: RUF012
    FEATURES = {  # noqa: RUF012
        "image": f.Image(),
        "objects": f.Sequence(
            {
                "label": f.ClassLabel(names=["cat", "dog"]),
                "bbox": f.BBoxFeature(),
                "is_difficult": np.bool_,
            }
        ),
        "labels": f.Sequence(f.ClassLabel(names=["cat", "dog"])),
    }
    MORE = {"labels": ["dog"]}  # noqa: RUF012
    # ymin 5, xmin 1, ymax 20, xmax 8, counted from 1.
    OBJECTS = [  # noqa: RUF012
        {"label": 1, "bbox": f.BBox(5 / 20, 1 / 40, 1.0, 8 / 40), "is_difficult": True}
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    for builder in (Coco, Voc):
        builder(data_dir=folder, file_format="array_record").download_and_prepare(
            download_dir=folder / "downloads", download_config=config
        )
    return str(folder)


def test_coco_has_boxes_in_pixels_classes_crowds_areas_and_ids(folder):
    source = load("coco/2017", "train", data_dir=folder)
    example = source[0]
    # The second box has no pixel.
    np.testing.assert_allclose(example["boxes"], [[0, 10, 10, 40], [2, 4, 20, 40]], atol=1e-5)
    np.testing.assert_array_equal(example["classes"], [1, 0])
    np.testing.assert_array_equal(example["crowd"], [False, True])
    np.testing.assert_array_equal(example["area"], [99, 99])
    assert example["image_id"] == 42 and source.info.class_names == ("person", "dog")
    kinds = source.info.kinds
    assert kinds["boxes"] == "box" and kinds["classes"] == kinds["crowd"] == "object"
    for key, (_, dtype) in source.info.spec.items():
        assert dtype == "bytes" or example[key].dtype == dtype
    assert example["objects/bbox"].shape == (3, 4)


def test_vocs_corners_are_counted_from_one_and_inside(folder):
    example = load("voc/2007", "train", data_dir=folder)[0]
    np.testing.assert_allclose(example["boxes"], [[4, 0, 20, 8]], atol=1e-5)
    np.testing.assert_array_equal(example["difficult"], [True])


@pytest.mark.parametrize("name", ["coco/2017", "voc/2007"])
def test_an_image_without_objects_stays_and_boxes_move(folder, name):
    source = load(name, "train", data_dir=folder)
    assert source[1]["boxes"].shape == (0, 4) and source[1]["classes"].shape == (0,)
    kept = {key: source[0][key] for key in ("image", "boxes", "classes")}
    moved = preprocess(kept, None, source.info.targets(), resize={"size": 10})
    np.testing.assert_allclose(moved["boxes"], kept["boxes"] / 2, atol=1e-5)


def test_what_is_not_prepared_says_how(folder):
    with pytest.raises(MissingData, match=r"python launch\.py data prepare coco/2014"):
        load("coco/2014", "train", data_dir=folder)
