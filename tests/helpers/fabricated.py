"""Small sets with the true specification of the real ones: features, classes, names, versions.

The library's own builders, with a few generated images in place of the download; needs no
TensorFlow. MNIST and CIFAR-10 are PNG as in the real sets, ImageNet and Imagenette JPEG of varying
size and aspect, one of them grey, Omniglot PNG of one bit, ink dark on white.
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
    "omniglot": {"train": 80, "test": 40},
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


def drawing(index):
    """A line of ink, rotated by the class, as PNG of one bit."""
    image = np.full((105, 105), 255, np.uint8)
    angle = np.pi * (index % 10) / 10
    reach = 40 * np.array([np.cos(angle), np.sin(angle)])
    ends = [tuple(int(v) for v in 52 + index // 10 + side * reach) for side in (-1, 1)]
    cv2.line(image, *ends, 0, 3)
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes()


def picture(name, shape, index):
    """An encoded image of a set."""
    if name == "omniglot":
        return drawing(index)
    return photo(index) if None in shape else png(shape, index)


def example(name, features, index):
    """An example with every feature of a set; classes in turn, ImageNet's far apart."""
    classes = features["label"].num_classes
    made = {
        "image": picture(name, features["image"].shape, index),
        "label": index % 10 * (classes // 10),
        "alphabet": index % 10 // 5,
        "alphabet_char_id": index % 5,
        "file_name": f"image_{index}.JPEG",
        "id": f"train_{index:05d}",
    }
    return {key: made[key] for key in features}


def fabricate(name, folder):
    """Write a set into `folder`, for `cnnlab.data.sources.source.load` to find by its name."""
    base, _, config = name.partition("/")
    real = tfds.builder_cls(base)

    class Fabricated(real, skip_registration=True):
        def _split_generators(self, dl_manager):
            if name == "omniglot":  # the real builder reads the names off the files
                label = self.info.features["label"]
                label.names = [f"Alphabet_{number}" for number in range(label.num_classes)]
            return {split: self.examples(count) for split, count in SETS[name].items()}

        def examples(self, count):
            for index in range(count):
                yield index, example(name, self.info.features, index)

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
