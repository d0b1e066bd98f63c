"""`digits`: scikit-learn's 1,797 handwritten digits, real scans of 8×8 pixels.

They are the test part of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI,
1998). The writers change along the file, so it is split in file order: a random split would put
one person's digits on both sides and flatter every method. 0-1,199 train, 1,200-1,436 validation,
1,437-1,796 test. Floors on test: 1-nearest neighbor on pixels 94.7 % and an RBF SVM (gamma 0.001)
94.7 % if fitted to train, 95.6 % and 95.8 % if fitted to train+validation.

    image  uint8 (8, 8, 1)   level v of the file's 0...16 is stored as 255 v / 16, rounded
    label  int32
    index  int32             position in scikit-learn's file

Rounding keeps the levels apart: `np.round(image * 16 / 255)` gives the file's numbers back.
"""

import numpy as np
import tensorflow_datasets as tfds

SPLITS = {"train": (0, 1200), "validation": (1200, 1437), "test": (1437, 1797)}
LEVELS = 16


class Digits(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """Builder of `digits`."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8, encoding="bytes"),
                "label": tfds.features.ClassLabel(num_classes=10),
                "index": np.int32,
            }
        )
        # Unshuffled: slices such as train[:80%] then keep to the order of the writers too.
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(*ends) for split, ends in SPLITS.items()}

    def _generate_examples(self, start, stop):
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = np.round(digits.images * (255 / LEVELS)).astype(np.uint8)[..., None]
        for index in range(start, stop):
            label = int(digits.target[index])
            yield index, {"image": images[index], "label": label, "index": index}
