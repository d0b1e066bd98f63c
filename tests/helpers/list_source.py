"""A source made of a list, for tests of what reads sources."""

import numpy as np

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.sources.info import Info


class ListSource:
    """Images whose every pixel is the index; those in `corrupt` cannot be read."""

    def __init__(self, count=20, corrupt=(), shape=(4, 4, 1)):
        self.count, self.corrupt, self.shape = count, set(corrupt), shape
        self.info = Info(
            "fake", "train", ("even", "odd"), {"image": (shape, "uint8"), "label": ((), "int32")}
        )

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index in self.corrupt:
            raise CorruptImage(f"image{index}.png", index, "made so")
        image = np.full(self.shape, index, np.uint8)
        return {"image": image, "label": np.array(index % 2, np.int32)}
