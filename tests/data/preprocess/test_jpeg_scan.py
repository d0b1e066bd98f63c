import io

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.preprocess import jpeg_scan
from cnnlab.data.preprocess.decode import CorruptImage, decode

END = b"\xff\xd9"


def jpeg(**options):
    pixels = np.random.default_rng(0).integers(0, 256, (75, 50, 3), np.uint8)
    pixels[40:] = 128
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


OPTIONS = [
    {},
    {"optimize": True},
    {"progressive": True},
    {"subsampling": 0},
    {"restart_marker_rows": 1},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_whole_images_of_the_gray_of_missing_data_pass_the_full_check(options):
    data = jpeg(**options)
    jpeg_scan.check(data, decode(data), always=True)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("filled", [0, 1000])
def test_a_half_with_an_end_is_refused_by_name(options, filled):
    data = jpeg(**options)
    half = data[: (data.find(b"\xff\xda") + len(data)) // 2] + bytes(filled) + END
    with pytest.raises(CorruptImage, match=r"a\.jpg"):
        decode(half, file="a.jpg")


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image():
    thumbnail = b"\xff\xe1\0\x06" + b"ab" + END
    data = jpeg()
    assert jpeg_scan.find_end(data[:2] + thumbnail + data[2:]) == len(data) - 2 + len(thumbnail)
    assert jpeg_scan.find_end(data[:2] + thumbnail) is None
