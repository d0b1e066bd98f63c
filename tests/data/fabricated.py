"""Small sets with the true specification of the real ones: features, classes, names, versions.

The library's own builders, with a few generated images in place of the download; needs no
TensorFlow. MNIST and CIFAR-10 are PNG as in the real sets, ImageNet and Imagenette JPEG of varying
size and aspect, one of them grey.
"""

from pathlib import Path

import cv2
import numpy as np
import tensorflow_datasets as tfds

# Examples by split.
SETS = {
    "mnist": {"train": 64, "test": 16},
    "cifar10": {"train": 64, "test": 16},
    "imagenet2012": {"train": 24, "validation": 8},
    "imagenette/320px-v2": {"train": 24, "validation": 8},
}
# Height and width; a shorter side of 320 pixels is Imagenette's.
SIZES = ((320, 427), (480, 320), (320, 320), (333, 500), (375, 500))
GREY = 3


def photo(index):
    """A smooth random image as JPEG; every eighth is grey."""
    height, width = SIZES[index % len(SIZES)]
    coarse = np.random.default_rng(index).integers(0, 256, (6, 8, 3), np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    if index % 8 == GREY:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return cv2.imencode(".jpg", image)[1].tobytes()


def png(shape, index):
    """A noisy image as PNG."""
    image = np.random.default_rng(index).integers(0, 256, shape, np.uint8)
    return cv2.imencode(".png", image)[1].tobytes()


def example(features, index):
    """An example with every feature of a set; classes in turn, ImageNet's far apart."""
    shape = features["image"].shape
    classes = features["label"].num_classes
    made = {
        "image": photo(index) if None in shape else png(shape, index),
        "label": index * (classes // 10) % classes,
        "file_name": f"image_{index}.JPEG",
        "id": f"train_{index:05d}",
    }
    return {name: made[name] for name in features}


def fabricate(name, folder):
    """Write a set into `folder`, for `cnnlab.data.source.load` to find by its name."""
    base, _, config = name.partition("/")
    real = tfds.builder_cls(base)

    class Fabricated(real, skip_registration=True):
        def _split_generators(self, dl_manager):
            return {split: self.examples(count) for split, count in SETS[name].items()}

        def examples(self, count):
            for index in range(count):
                yield index, example(self.info.features, index)

        def _generate_examples(self):
            raise NotImplementedError

    Fabricated.name = base
    builder = Fabricated(
        data_dir=folder, file_format="array_record", **({"config": config} if config else {})
    )
    builder.download_and_prepare(
        download_dir=Path(folder) / "downloads",
        download_config=tfds.download.DownloadConfig(try_download_gcs=False),
    )
    return builder
