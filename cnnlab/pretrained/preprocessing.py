"""The preprocessing of images that weights were trained with, stored with the weights."""

import dataclasses
import json
from typing import Any

from cnnlab.errors import UserError

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """The evaluation's preprocessing: resize, crop the center, (x - mean) / std of x in [0, 1].

    Attributes:
        size: height and width of the crop, what the model sees.
        resize: length of the shorter side before it.
        interpolation: "bilinear" or "bicubic", antialiased.
        mean: subtracted from each channel.
        std: by which each channel is divided.
    """

    size: int = 224
    resize: int = 256
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def as_config(self) -> dict[str, Any]:
        """Return entries for a config: `preprocess` for `data.eval.preprocess`, and `normalize`.

        `interpolation` becomes "auto", the nearest there is to an antialiased one (OpenCV's
        linear and cubic interpolation alias when they shrink an image).
        """
        resize = {"size": self.resize, "mode": "shorter", "interpolation": "auto"}
        return {
            "preprocess": {"resize": resize, "center_crop": {"size": self.size}},
            "normalize": {"mean": self.mean, "std": self.std},
        }

    def to_json(self) -> str:
        """Return it as one line of text."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Preprocessing":
        """Return it from its text.

        Raises:
            UserError: another text.
        """
        try:
            fields = json.loads(text)
            fields |= {key: tuple(fields[key]) for key in ("mean", "std")}
            return cls(**fields)
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"no preprocessing can be read from {text!r} ({error})") from error
