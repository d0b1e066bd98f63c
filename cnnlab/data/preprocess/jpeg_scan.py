"""Whether the coded pixels of a JPEG are whole.

Decoders fill the pixels of data that end before the end-of-image marker with grey, take zeros of an
interrupted download for data, and only print a warning without the name of the file. A full check
is a second decoding, so only files with a sign of either are checked: grey in a corner, zeros
before the marker, or a progressive file whose scans stop before its last bits. What remains: a
progressive file cut in its last scan, whose pixels are a little less sharp.
"""

import io
import re
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

_MARKER = re.compile(rb"\xff\xff*[^\x00\xd0-\xd7\xff]")  # but those within the coded pixels
_END = b"\xd9"
# What libjpeg fills blocks with whose data are missing.
_FILL = 128
# So many zeros in a row are hardly coded pixels, but for those of a flat image.
_ZEROS = bytes(16)


def check(data: bytes, image: UInt8[np.ndarray, "h w 3"], *, always: bool) -> None:
    """Raise a `ValueError` if pixels of an image are not in the data that it was decoded from.

    Args:
        data: of the file.
        image: the pixels.
        always: check fully, as for colors in which missing data are not grey.
    """
    # A rotation may have moved the last pixel to any corner.
    gray = (image[:: max(1, len(image) - 1), :: max(1, image.shape[1] - 1)] == _FILL).all(-1).any()
    end = len(data) - 2 if data.endswith(b"\xff\xd9") else find_end(data)
    progressive = b"\xff\xc2" in data[: data.find(b"\xff\xda")]
    zeros = data.endswith(_ZEROS, 0, end)
    if progressive and not _is_refined(data):
        raise ValueError("truncated: scans are missing before its end-of-image marker")
    if not (gray or zeros or always):
        return
    end = find_end(data)
    coded = data[:end]
    if not _is_whole(coded):
        raise ValueError("truncated: data are missing before its end-of-image marker")
    # Zeros that were needed, of which there are too many, are no data. Data may end in a few.
    few = coded.rstrip(b"\0") + bytes(4)
    if zeros and _is_whole(coded[: -len(_ZEROS)]) and not _is_whole(few):
        raise ValueError("truncated: zeros are in the place of its data")


def find_end(data: bytes) -> int | None:
    """Return where the end-of-image marker is, None without; there may be other data behind."""
    return next((start for start, kind in _markers(data) if kind == _END), None)


def _markers(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield place and kind of the markers, to the end of the image."""
    found = _MARKER.search(data, 2)
    while found:
        kind = found[0][-1:]
        if kind == _END:
            yield found.start(), kind
            return
        # Past a segment, of which the thumbnail with an end of its own is one.
        stop = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
        yield found.start(), kind
        found = _MARKER.search(data, stop)


def _is_refined(data: bytes) -> bool:
    """Return whether the scans of a progressive image reach the last bit of what they began."""
    start = next((start for start, kind in _markers(data) if kind == b"\xda"), len(data))
    low: dict[int, bytearray] = {}
    # No coded pixels look like this marker.
    while (start := data.find(b"\xff\xda", start) + 4) >= 4:
        count = data[start] if start < len(data) else 0
        header = data[start + 1 : start + 4 + 2 * count]
        if len(header) < 3 + 2 * count:
            break
        first, last, bits = header[-3:]
        for component in header[: 2 * count : 2]:
            planes = low.setdefault(component, bytearray(256))
            planes[first : last + 1] = bytes([bits & 15]) * (last + 1 - first)
    return not any(map(any, low.values()))


def _is_whole(coded: bytes) -> bool:
    """Return whether all pixels are in the data before the end-of-image marker."""
    # Of several scans none may be the last without that marker: the decoder waits for it when it
    # has read all. Twice, as it may also wait with all read between two blocks.
    scans = coded.count(b"\xff\xda")
    for more in (b"\x55" * 9, b"\x55" * 12):
        read = _decode_part(coded + more)
        if read >= 0 and (scans == 1 or read < len(coded + more)):
            return False
    return True


def _decode_part(data: bytes) -> int:
    """Return how many bytes Pillow's decoder reads before it waits for more, -1 if it is done."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        _, box, _, arguments = image.tile[0]
        arguments = arguments if isinstance(arguments, tuple) else (arguments,)
        decoder = Image._getdecoder(image.mode, "jpeg", arguments, image.decoderconfig)
        decoder.setimage(Image.core.new(image.mode, image.size), box)
        return decoder.decode(data)[0]
