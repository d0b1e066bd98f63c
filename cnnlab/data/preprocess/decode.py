"""Decode image files to uint8 arrays, with errors that name the file.

What comes out is what a viewer shows: EXIF orientation is applied (unless asked not to), palettes
are looked up, CMYK is converted, and transparency is laid over white (without its alpha channel a
black drawing on a transparent ground would be a black rectangle). Of 16-bit samples the high byte
is kept, so 65,535 becomes 255. Of an animation the first frame is read.

Plain grey and RGB JPEGs and PNGs go through OpenCV, several times as fast; all else, and whatever
looks cut off, through Pillow. Some releases of OpenCV fill the rest of a truncated JPEG with grey
and say nothing, so those whose last bytes are not an end-of-image marker never reach it. A JPEG
that has none at all is truncated: decoders take zeros, as an interrupted download leaves, for
pixels. Those that may have lost data before their marker are checked by `jpeg_scan`.
"""

import functools
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cnnlab.data.preprocess import jpeg_scan
from cnnlab.errors import UserError
from cnnlab.utils.files import read_file

EXTENSIONS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
# Tag of EXIF, and its values by which height and width trade places.
ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


class CorruptFile(UserError):
    """A file of a data set that cannot be decoded: which file, which index, and why.

    Attributes:
        what: what it should have been.
    """

    what = "file"

    def __init__(self, file: str, index: int, reason: str):
        super().__init__(file, index, reason)  # as arguments, so that it survives pickling
        self.file, self.index, self.reason = file, index, reason

    def __str__(self) -> str:
        return (
            f"cannot decode {self.what} {self.file} (index {self.index}): {self.reason}; repair or "
            f"remove it, or leave such {self.what}s out with --config.data.on_corrupt=skip"
        )


# Raised for an example that cannot be read: by our sources, and by those of one's own.
UNREADABLE = (CorruptFile, OSError)


class CorruptImage(CorruptFile):
    """An image that cannot be decoded."""

    what = "image"


def decode(
    data: bytes | Path, *, channels: int = 3, exif: bool = True, file: str = "", index: int = -1
) -> UInt8[np.ndarray, "h w channels"]:
    """Return the image in an encoded file, in RGB or grey.

    Args:
        data: the bytes, or where they are.
        channels: 3 for RGB, 1 for grey (ITU-R 601 luma of a color image).
        exif: rotate the pixels as the file's EXIF orientation says; those of TIFF always are.
        file, index: what to call the image in an error; `file` defaults to the path.

    Raises:
        CorruptImage: if the file is empty, truncated, unreadable or no image.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels={channels}: 1 or 3")
    if isinstance(data, Path):
        file = file or str(data)
        try:
            data = read_file(data)
        except OSError as error:
            raise CorruptImage(file, index, f"cannot be read: {error.strerror}") from error
    if not data:
        raise CorruptImage(file, index, "the file is empty (0 bytes)")
    try:
        image = _decode(data, exif)
    # Pillow's plugins raise nearly anything on damaged headers: SyntaxError, struct.error, ...
    except Exception as error:
        reason = str(error).split("<_io")[0].strip() or type(error).__name__
        raise CorruptImage(file, index, reason) from error
    return image if channels == 3 else _luma(image)


def size_of(path: Path, index: int = -1, *, exif: bool = True) -> tuple[int, int]:
    """Return height and width of what `decode` returns, from the head of the file.

    Raises:
        CorruptImage: the file cannot be read, or is no image.
    """
    try:
        with _without_warnings().open(path) as header:
            if header.format == "TIFF":  # Pillow's releases differ in when they rotate it.
                return decode(path, index=index).shape[:2]
            # Of a PNG without EXIF, Pillow would decode the pixels to look behind them.
            looks = exif and (header.format != "PNG" or "exif" in header.info)
            rotated = looks and header.getexif().get(ORIENTATION, 1) in SIDEWAYS
            return header.size if rotated else header.size[::-1]
    except CorruptImage:
        raise
    except Exception as error:
        reason = str(error).split("<_io")[0].strip() or type(error).__name__
        raise CorruptImage(str(path), index, reason) from error


@functools.cache
def _without_warnings() -> Any:
    """Return Pillow's `Image`, silent about large images that it reads."""
    from PIL import Image

    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    return Image


def _decode(data: bytes, exif: bool) -> np.ndarray:
    Image = _without_warnings()
    with Image.open(io.BytesIO(data)) as header:  # reads no pixels yet
        is_jpeg = header.format == "JPEG"
        if is_jpeg and not data.endswith(_ENDS["JPEG"]) and jpeg_scan.find_end(data) is None:
            raise ValueError("truncated: it has no end-of-image marker")
        if is_jpeg and any(0 in table for table in header.quantization.values()):
            raise ValueError("a quantization table has a zero")
        image = _decode_with_opencv(data, exif) if _is_plain(header, data) else None
        if image is None:
            image = _decode_with_pillow(header, exif)
        if is_jpeg:
            jpeg_scan.check(data, image, always=header.mode not in ("L", "RGB"))
        return image


def _is_plain(header, data: bytes) -> bool:
    end = _ENDS.get(header.format)
    if end is None or header.mode not in ("L", "RGB") or not data.endswith(end):
        return False
    # Whether OpenCV minds a PNG's rotation depends on its release.
    return header.format == "JPEG" or not {"transparency", "exif"} & header.info.keys()


def _decode_with_opencv(data: bytes, exif: bool) -> np.ndarray | None:
    import cv2

    flags = cv2.IMREAD_COLOR | (0 if exif else cv2.IMREAD_IGNORE_ORIENTATION)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _decode_with_pillow(image, exif: bool) -> np.ndarray:
    from PIL import Image, ImageOps

    image.load()
    image = ImageOps.exif_transpose(image) if exif else image
    if image.mode.startswith("I"):
        wide = np.asarray(image)
        if wide.min() < 0 or wide.max() > 2**16 - 1:
            raise ValueError("its samples have more than 16 bits; convert it to 8 or 16")
        return np.repeat((wide >> 8).astype(np.uint8)[..., None], 3, axis=-1)
    if image.mode == "F":
        raise ValueError("its samples are floats; convert it to 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


def _luma(image: np.ndarray) -> np.ndarray:
    import cv2

    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
