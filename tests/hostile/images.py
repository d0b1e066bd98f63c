"""Files that are no images, or images that few have seen, in a folder of images."""

import io
import os
import struct
import zlib

import numpy as np
from hostile.row import Row, Table, link, place
from PIL import Image

FILE = "set/cat/x"


def encoded(kind, mode="RGB", size=(64, 48), **options):
    """A noisy image in a format."""
    depth = {"RGB": 3, "RGBA": 4, "CMYK": 4}.get(mode)
    shape = (size[1], size[0], depth) if depth else (size[1], size[0])
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    image = Image.fromarray(pixels, mode if depth else "L").convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def of(pixels, kind, **options):
    """An image of these pixels in a format."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def cut(data, part):
    """The first part of a file."""
    return data[: int(len(data) * part)]


def zeros(data, part):
    """A download that stopped: the rest is zeros."""
    return cut(data, part).ljust(len(data), b"\0")


def ended(data, part, filled):
    """A JPEG that is cut, with zeros and an end marker behind."""
    return cut(data, part) + bytes(filled) + b"\xff\xd9"


def flipped(data, place):
    """A file with one bit changed, at a fraction of its length."""
    at = int(len(data) * place)
    return data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


def without_steps(data):
    """A JPEG whose first quantization table is zeros."""
    at = data.index(b"\xff\xdb") + 5
    return data[:at] + bytes(64) + data[at + 64 :]


def png_chunk(name, content):
    """A chunk of a PNG with a right checksum."""
    crc = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def png_of_size(width, height, *more):
    """A PNG that declares a size and has hardly any pixels."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    end = png_chunk(b"IDAT", zlib.compress(bytes(100))) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + end


def bmp_of_size(width, height):
    """A BMP that declares a size."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 4, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 58, 0, 0, 54) + info + bytes(4)


PNG, JPEG = encoded("PNG"), encoded("JPEG")
PROGRESSIVE = encoded("JPEG", progressive=True)
CMYK = encoded("JPEG", "CMYK")
GRAY = np.full((64, 48, 3), 128, np.uint8)
TEXT_BOMB = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000)))
ICC_BOMB = png_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000)))
WIDE = np.full((4, 4), 70_000, np.int32)


def bad(name, content, words="cannot decode image", end="png"):
    """A row of a file that is no whole image."""
    return Row(name, words, place(f"{FILE}.{end}", content))


def good(name, content, end="png"):
    """A row of a file that is an image after all."""
    return Row(name, "samples drawn in", place(f"{FILE}.{end}", content), works=True)


ROWS = [
    bad("empty file", b"", "the file is empty (0 bytes)"),
    bad("one byte", b"\x89"),
    bad("text", "no image at all"),
    bad("a web page", "<!DOCTYPE html><html>404</html>", end="jpg"),
    bad("an SVG", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
    bad("zeros", bytes(5000)),
    bad("random bytes", np.random.default_rng(0).bytes(5000), end="jpg"),
    *(bad(f"PNG cut at {p}", cut(PNG, p)) for p in (0.001, 0.01, 0.5, 0.9, 0.99)),
    *(bad(f"PNG, rest zeros from {p}", zeros(PNG, p)) for p in (0.01, 0.5, 0.9)),
    *(bad(f"PNG with a bit flipped at {p}", flipped(PNG, p)) for p in (0.0015, 0.3, 0.7)),
    bad("PNG of 100,000 x 100,000 pixels in 200 bytes", png_of_size(100_000, 100_000)),
    bad("PNG of 2^31 pixels in a row", png_of_size(2**31 - 1, 1)),
    bad("PNG of no width", png_of_size(0, 5)),
    bad("PNG of too few pixels", png_of_size(50, 50)),
    bad("PNG whose text unfolds to 50 MB", png_of_size(5, 5, TEXT_BOMB)),
    bad("PNG whose profile unfolds to 50 MB", png_of_size(50, 50, ICC_BOMB)),
    *(
        bad(f"{name} cut at {p}", cut(data, p), end="jpg")
        for p in (0.02, 0.5, 0.9, 0.999)
        for name, data in (("JPEG", JPEG), ("progressive JPEG", PROGRESSIVE))
    ),
    *(
        bad(f"{name}, rest zeros from {p}", zeros(data, p), end="jpg")
        for p in (0.2, 0.5, 0.9, 0.999)
        for name, data in (("JPEG", JPEG), ("progressive JPEG", PROGRESSIVE))
    ),
    *(
        bad(f"JPEG ({mode}) cut at {p}, {filled} zeros, an end", ended(data, p, filled), w, "jpg")
        for mode, data in (("RGB", JPEG), ("L", encoded("JPEG", "L")), ("CMYK", CMYK))
        for p in (0.3, 0.5, 0.9)
        for filled, w in ((0, "data are missing"), (20, "data"), (len(data), "data"))
    ),
    *(
        bad(f"progressive JPEG cut at {p} and an end", ended(PROGRESSIVE, p, 0), "truncated", "jpg")
        for p in (0.2, 0.4, 0.6)
    ),
    bad("JPEG without end marker", JPEG[:-2], "truncated", end="jpg"),
    bad("JPEG of zero quantization", without_steps(JPEG), "quantization table", end="jpg"),
    bad("progressive, of zero quantization", without_steps(PROGRESSIVE), "has a zero", end="jpg"),
    bad("JPEG of the first marker", b"\xff\xd8", end="jpg"),
    bad("JPEG of two markers", b"\xff\xd8\xff\xd9", end="jpg"),
    bad("JPEG of a segment beyond its end", b"\xff\xd8\xff\xe0\xff\xff", end="jpg"),
    bad("GIF cut", cut(encoded("GIF", "P"), 0.05), end="gif"),
    bad("GIF without a frame", b"GIF89a\1\0\1\0\0\0\0;", end="gif"),
    bad("WebP cut", cut(encoded("WEBP"), 0.5), end="webp"),
    bad("WebP of a header", b"RIFF\xff\xff\xff\xffWEBPVP8 ", end="webp"),
    bad("BMP of 2^31 pixels", bmp_of_size(2**31 - 1, 1), end="bmp"),
    bad("BMP of negative width", bmp_of_size(-5, 5), end="bmp"),
    bad("TIFF cut", cut(encoded("TIFF"), 0.3), end="tif"),
    bad("TIFF whose directory is beyond its end", b"II*\0\xff\xff\xff\xff", end="tif"),
    bad("TIFF whose directory is itself", b"II*\0\x08\0\0\0\0\0\x08\0\0\0", end="tif"),
    bad("PPM of 10^16 pixels", "P6 99999999 99999999 255\n", end="ppm"),
    bad("PPM cut", "P6 100 100 255\nabc", end="ppm"),
    bad("PPM of no width", "P6 0 5 255\n", end="ppm"),
    bad("PGM with a word for a number", "P2 two 2 255\n1 2 3 4", end="pgm"),
    bad("samples of 17 bits", of(WIDE, "TIFF"), "more than 16 bits", end="tif"),
    bad("samples of floats", of(np.ones((4, 4), np.float32), "TIFF"), "are floats", end="tif"),
    Row("a pipe", "no regular file", lambda f: os.mkfifo(f / f"{FILE}.png")),
    Row("a device", "no regular file", link(f"{FILE}.png", "/dev/zero")),
    Row(
        "a PNG of 1 TiB",
        "is larger than 1024 MiB",
        lambda f: (place(f"{FILE}.png", PNG)(f), os.truncate(f / f"{FILE}.png", 1 << 40)),
    ),
    Row("a link to itself", "cannot be read", link(f"{FILE}.png", "x.png")),
    Row("a link to nothing", "cannot be read", link(f"{FILE}.png", "gone.png")),
    good("a PNG called JPEG", PNG, end="jpg"),
    good("a JPEG called PNG", JPEG),
    good("an extension in capitals", PNG, end="PNG"),
    good("JPEG with other data behind", JPEG + b"\xff\xda" + bytes(5000), end="jpg"),
    good("JPEG in CMYK", CMYK, end="jpg"),
    good("JPEG that is gray as missing data are", of(GRAY, "JPEG"), end="jpg"),
    good("JPEG of zeros alone", of(GRAY, "JPEG", optimize=True), end="jpg"),
    good("JPEG with zeros before its end", JPEG[:-2] + bytes(50) + JPEG[-2:], end="jpg"),
    good("PNG of one bit", encoded("PNG", "1")),
    good("PNG with a palette", encoded("PNG", "P")),
    good("PNG with transparency", encoded("PNG", "RGBA")),
    good("PNG of one pixel", encoded("PNG", size=(1, 1))),
    good("PNG of 16 bits", of(np.full((4, 4), 65535, np.uint16), "PNG")),
    good("GIF with a palette", encoded("GIF", "P"), end="gif"),
    Row("a folder called image", "2 examples", lambda f: (f / f"{FILE}.png").mkdir(), works=True),
]


def before(folder):
    """Two classes with a whole image each."""
    for name in ("cat", "dog"):
        place(f"set/{name}/whole.png", PNG)(folder)


TABLE = Table("images", "data folder:set", ROWS, before)
