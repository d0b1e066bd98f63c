"""Files of optical flow, disparity and depth.

    .flo       flow of Middlebury: "PIEH", width, height, (dx, dy) as float32
    .pfm       disparity or depth (one channel), flow (three: dx, dy, and one that is passed over)
    .png       of 16 bits, KITTI's: flow (value - 2^15) / 64 in red (dx) and green (dy), known where
               blue is not 0; disparity and depth value / 256, 0 is unknown

What is unknown in a file, not finite, or in .flo above 1e9, is 0 and not known.
"""

import io
import re
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt16

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.utils.files import read_file

MAGIC = b"PIEH"
PFM = re.compile(rb"(PF|Pf)\s+(\d{1,9})\s+(\d{1,9})\s+(-?[\d.eE+-]{1,30})\s", re.ASCII)
# Larger numbers of a .flo stand for unknown.
LARGEST = 1e9
KITTI_ZERO, KITTI_FLOW, KITTI_DISPARITY = 2**15, 64, 256


def read_flow(file: Path, index: int = -1) -> Float32[np.ndarray, "h w 3"]:
    """Return (dy, dx, known) of a file of flow; `known` is 0 or 1.

    Raises:
        CorruptImage: the file cannot be read, is cut short or holds something else.
    """
    data = _bytes(file, index)
    try:
        if file.suffix == ".flo":
            dx, dy = np.moveaxis(_flo(data), -1, 0)
            known = (np.abs(dx) < LARGEST) & (np.abs(dy) < LARGEST)
        elif file.suffix == ".pfm":
            dx, dy = np.moveaxis(_pfm(data, 3), -1, 0)[:2]
            known = np.isfinite(dx) & np.isfinite(dy)
        else:
            pixels = _png(data, 3).astype(np.float32)
            dx, dy = ((pixels[..., n] - KITTI_ZERO) / KITTI_FLOW for n in (0, 1))
            known = pixels[..., 2] > 0
    except ValueError as error:
        raise CorruptImage(str(file), index, str(error)) from error
    found = np.stack([np.where(known, dy, 0), np.where(known, dx, 0), known], axis=-1)
    return found.astype(np.float32)


def read_depth(
    file: Path, index: int = -1, *, scale: int = KITTI_DISPARITY
) -> Float32[np.ndarray, "h w"]:
    """Return disparity or depth, 0 where it is unknown.

    Args:
        file: a .pfm, or a .png of 16 bits.
        index: what to call the file in an error.
        scale: number in a .png that stands for 1.

    Raises:
        CorruptImage: the file cannot be read, is cut short or holds something else.
    """
    data = _bytes(file, index)
    try:
        values = _pfm(data, 1) if file.suffix == ".pfm" else _png(data, 1) / np.float32(scale)
    except ValueError as error:
        raise CorruptImage(str(file), index, str(error)) from error
    return np.where(np.isfinite(values) & (values > 0), values, 0).astype(np.float32)


def _bytes(file: Path, index: int) -> bytes:
    try:
        return read_file(file)
    except OSError as error:
        raise CorruptImage(str(file), index, f"cannot be read: {error.strerror}") from error


def _flo(data: bytes) -> Float32[np.ndarray, "h w 2"]:
    if data[:4] != MAGIC:
        raise ValueError(f"its first bytes are {data[:4]!r}, those of .flo {MAGIC!r}")
    if len(data) < 12:
        raise ValueError(f"it ends within its head, at {len(data)} bytes")
    width, height = np.frombuffer(data, "<i4", 2, 4).tolist()
    return _floats(data[12:], (height, width, 2), "<f4")


def _pfm(data: bytes, channels: int) -> Float32[np.ndarray, "h w ..."]:
    head = PFM.match(data)
    if head is None:
        raise ValueError("it has no head of a .pfm: PF or Pf, width, height, scale")
    if (head[1] == b"PF") != (channels == 3):
        raise ValueError(f"it is {head[1].decode()}, wanted {'PF' if channels == 3 else 'Pf'}")
    shape = (int(head[3]), int(head[2]), *([3] if channels == 3 else []))
    try:
        order = "<f4" if float(head[4]) < 0 else ">f4"
    except ValueError:
        raise ValueError(f"the scale in its head is {head[4].decode()!r}, no number") from None
    # Rows are stored from the lowest up.
    return _floats(data[head.end() :], shape, order)[::-1]


def _floats(data: bytes, shape: tuple[int, ...], order: str) -> Float32[np.ndarray, "..."]:
    if min(shape) < 1 or len(data) != 4 * int(np.prod(shape, dtype=object)):
        sides = " x ".join(map(str, shape))
        raise ValueError(f"its head says {sides} numbers of 4 bytes, and {len(data):,} follow")
    return np.frombuffer(data, order).reshape(shape).astype(np.float32)


def _png(data: bytes, channels: int) -> UInt16[np.ndarray, "h w ..."]:
    import cv2
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as header:
            header.verify()
    except Exception as error:
        reason = str(error).split("<_io")[0].strip() or type(error).__name__
        raise ValueError(f"no whole PNG: {reason}") from error
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    found = 0 if image is None else (image.shape[2] if image.ndim == 3 else 1)
    if image is None or image.dtype != np.uint16 or found != channels:
        has = "none" if image is None else f"{found} of {8 * image.itemsize}"
        raise ValueError(f"wanted {channels} channel(s) of 16 bits, it has {has}")
    return image if channels == 1 else image[..., ::-1]
