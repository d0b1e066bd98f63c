import io
import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from cnnlab.data.preprocess.decode import CorruptImage, decode, size_of
from cnnlab.errors import UserError

RNG = np.random.default_rng(0)
PHOTO = cv2.resize(
    RNG.integers(0, 256, (6, 8, 3), np.uint8), (40, 30), interpolation=cv2.INTER_AREA
)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "WEBP": {"lossless": True}}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_files_decode_to_the_pixels_that_were_saved(kind):
    np.testing.assert_array_equal(decode(encoded(PHOTO, kind, **LOSSLESS[kind])), PHOTO)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpegs_decode_as_the_reference_decoder_does(options):
    data = encoded(PHOTO, "JPEG", **options)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(decode(data), expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grey_files_have_three_equal_channels_or_one(kind):
    grey = PHOTO[..., 0]
    data = encoded(grey, kind, quality=95)
    rgb, one = decode(data), decode(data, channels=1)
    np.testing.assert_array_equal(rgb, np.repeat(one, 3, axis=-1))
    if kind == "PNG":
        np.testing.assert_array_equal(one[..., 0], grey)


def test_one_channel_of_a_color_image_is_its_luma():
    luma = PHOTO @ [0.299, 0.587, 0.114]
    assert np.abs(decode(encoded(PHOTO, "PNG"), channels=1)[..., 0] - luma).max() <= 0.51


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_of_16_bit_grey_the_high_byte_is_kept(kind):
    wide = np.array([[0, 255, 256, 0x12FF], [0x8000, 0xFEFF, 0xFF00, 0xFFFF]], np.uint16)
    expected = [[0, 0, 1, 0x12], [0x80, 0xFE, 0xFF, 0xFF]]
    image = decode(cv2.imencode(kind, wide)[1].tobytes())
    for channel in range(3):
        np.testing.assert_array_equal(image[..., channel], expected)


@pytest.mark.parametrize("kind", [".png", ".tiff"])
def test_of_16_bit_color_the_high_byte_is_kept(kind):
    wide = RNG.integers(0, 2**16, (5, 7, 3)).astype(np.uint16)
    image = decode(cv2.imencode(kind, wide[..., ::-1])[1].tobytes())
    np.testing.assert_array_equal(image, wide >> 8)


def test_cmyk_becomes_the_color_that_was_meant():
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # full magenta and yellow: red
    assert np.abs(decode(encoded(image, "JPEG")).astype(int) - [255, 0, 0]).max() <= 3


def test_palettes_are_looked_up():
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    expected = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 255, 0]]]
    np.testing.assert_array_equal(decode(encoded(image, "PNG")), expected)
    np.testing.assert_array_equal(decode(encoded(image, "GIF")), expected)


def test_transparency_shows_white():
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 51]]], np.uint8)
    expected = [[[10, 20, 30], [255, 255, 255], [204, 204, 204]]]
    np.testing.assert_array_equal(decode(encoded(pixels, "PNG")), expected)


def test_a_transparent_color_of_an_rgb_png_shows_white():
    pixels = np.array([[[10, 20, 30], [1, 2, 3]]], np.uint8)
    data = encoded(pixels, "PNG", transparency=(1, 2, 3))
    np.testing.assert_array_equal(decode(data), [[[10, 20, 30], [255, 255, 255]]])


# What EXIF's orientations 1 to 8 ask a viewer to do with the stored pixels.
TURNS = [
    lambda x: x,
    lambda x: x[:, ::-1],
    lambda x: x[::-1, ::-1],
    lambda x: x[::-1],
    lambda x: x.transpose(1, 0, 2),
    lambda x: np.rot90(x, -1),
    lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    np.rot90,
]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_or_ignored(kind, orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data, stored = encoded(PHOTO, kind, exif=exif), decode(encoded(PHOTO, kind))
    (tmp_path / "a").write_bytes(data)
    shown = TURNS[orientation - 1](stored)
    for applied, expected in ((True, shown), (False, shown if kind == "TIFF" else stored)):
        np.testing.assert_array_equal(decode(data, exif=applied), expected)
        assert size_of(tmp_path / "a", exif=applied) == expected.shape[:2]


def test_of_an_animation_the_first_frame_is_read():
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(data), np.full((4, 4, 3), [255, 0, 0]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_truncated_files_are_corrupt(kind, part):
    noise = RNG.integers(0, 256, (64, 64, 3), np.uint8)
    data = encoded(noise, kind)
    with pytest.raises(CorruptImage):
        decode(data[: int(len(data) * part)])


def test_a_jpeg_whose_last_bytes_are_missing_is_corrupt():
    with pytest.raises(CorruptImage, match="truncated"):
        decode(encoded(PHOTO, "JPEG")[:-2])


def test_a_jpeg_with_bytes_after_its_end_decodes():
    data = encoded(PHOTO, "JPEG")
    np.testing.assert_array_equal(decode(data + b"trailer"), decode(data))


def test_damaged_png_data_is_corrupt():
    data = bytearray(encoded(PHOTO, "PNG"))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(CorruptImage):
        decode(bytes(data))


def test_a_corrupt_file_is_named_with_its_index_and_a_way_out(tmp_path):
    file = tmp_path / "a cat.jpg"
    file.write_bytes(b"")
    with pytest.raises(UserError) as caught:
        decode(file, index=17)
    for part in (str(file), "17", "0 bytes", "on_corrupt=skip"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"\x00", b"hello world", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n"]
)
def test_garbage_is_corrupt(data):
    with pytest.raises(CorruptImage, match=r"x\.png \(index 3\)"):
        decode(data, file="x.png", index=3)


def test_a_missing_file_is_corrupt(tmp_path):
    with pytest.raises(CorruptImage, match="No such file"):
        decode(tmp_path / "gone.png")


def test_float_images_are_refused_with_a_reason():
    with pytest.raises(CorruptImage, match="floats"):
        decode(encoded(Image.new("F", (3, 3)), "TIFF"))


def test_the_error_survives_pickling():
    error = pickle.loads(pickle.dumps(CorruptImage("a.png", 3, "why")))
    assert (error.file, error.index, error.reason) == ("a.png", 3, "why")
    assert str(error) == str(CorruptImage("a.png", 3, "why"))


def jpeg(size=(64, 48), **options):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
def test_a_jpeg_whose_rest_is_zeros_is_truncated(options, part):
    thumbnail = jpeg((8, 8))
    exif = Image.Exif()
    exif[0x9286] = thumbnail  # a comment with an end-of-image marker in it
    whole = jpeg(exif=exif, **options)
    decode(whole)
    kept = int(len(whole) * part)
    for data in (whole[:kept] + bytes(len(whole) - kept), whole[:kept], whole[:-2]):
        with pytest.raises(CorruptImage, match=r"(?i)truncated|cannot identify"):
            decode(data)


def test_what_follows_the_end_of_a_jpeg_changes_nothing():
    whole = jpeg()
    behind = np.random.default_rng(1).integers(0, 256, 200_000, np.uint8).tobytes()
    for more in (b"\0", b"\xff\xda", behind + b"\xff\xda"):
        np.testing.assert_array_equal(decode(whole + more), decode(whole))
