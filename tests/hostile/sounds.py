"""Files that are no sounds, or sounds of an odd kind, in a folder of sounds."""

import os
import struct

import numpy as np
from hostile.row import Row, Table, link, place

from cnnlab.data.sources.sound import SoundSource
from cnnlab.data.sources.wav import WavSource

FILE = "set/a/x.wav"
SAMPLES = (np.sin(np.arange(800)) * 9000).astype("<i2").tobytes()


def wav(
    samples=SAMPLES, bits=16, tag=1, channels=1, rate=16_000, *, size=None, riff=None, fmt=None
):
    """A file with a header of one's own."""
    if fmt is None:
        width = channels * bits // 8
        fmt = struct.pack(
            "<HHIIHH", tag, channels, rate, rate * width & (2**32 - 1), width & 65535, bits
        )
    size = len(samples) if size is None else size
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", size) + samples
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def floats(*values, bits=32):
    """A file of floating-point samples."""
    return wav(np.array(values, f"<f{bits // 8}").tobytes(), bits, 3)


def bad(name, content, words="cannot decode sound"):
    """A row of a file that is refused."""
    return Row(name, words, place(FILE, content))


def good(name, content):
    """A row of a file that is read."""
    return Row(name, "3 sounds", place(FILE, content), works=True)


def read(folder, kind=WavSource):
    """Read all sounds of the set."""
    source = kind(str(folder / "set"), "train")
    return f"{len([source[i] for i in range(len(source))])} sounds"


def read_sound(folder):
    """Read them as `sound:` does."""
    return read(folder, SoundSource)


def sparse(end):
    """Return what makes a file of 1 TiB that takes no room."""

    def make(folder):
        path = folder / f"set/a/x.{end}"
        path.write_bytes(wav() if end == "wav" else b"fLaC")
        os.truncate(path, 1 << 40)

    return make


EXTENSIBLE = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 0)
EXTENSIBLE += struct.pack("<H", 1) + bytes(14)
PIPED = wav(size=0xFFFFFFFF, riff=0xFFFFFFFF)
LISTED = wav().replace(b"fmt ", b"LIST\x05\0\0\0abcde\0fmt ", 1)
ROWS = [
    bad("empty file", b"", "the file is empty (0 bytes)"),
    bad("text", b"no sound at all", "no RIFF WAVE file"),
    bad("an MP3", b"ID3\x04" + bytes(500), "no RIFF WAVE file"),
    bad("a FLAC", b"fLaC" + bytes(500), "no RIFF WAVE file"),
    bad("an AIFF", b"FORM\0\0\1\0AIFF" + bytes(500), "no RIFF WAVE file"),
    bad("a RIFF of pictures", b"RIFF\0\1\0\0WEBP" + bytes(500), "no RIFF WAVE file"),
    bad("a head alone", b"RIFF\0\0\0\0WAVE", "no 'fmt' chunk"),
    bad("no format", b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd", "no 'fmt' chunk"),
    bad("a format of 8 bytes", wav(fmt=bytes(8)), "its format has 8 bytes"),
    bad("no samples", wav(b""), "0 bytes of samples"),
    bad("no chunk of samples", wav().replace(b"data", b"dada"), "no 'data' chunk"),
    bad("half a sample", wav(b"abc"), "no whole number"),
    bad("cut in its samples", wav()[:900], "truncated: 856 of 1,600 bytes"),
    *(bad(f"cut at byte {n}", wav()[:n]) for n in (4, 11, 16, 21, 30, 40)),
    bad("a chunk beyond the end", wav().replace(b"fmt ", b"LIST\xff\xff\xff\x0ffmt "), "truncated"),
    bad("no channels", wav(channels=0), "0 channel(s)"),
    bad("no rate", wav(rate=0), "at 0 Hz"),
    bad("12 bits", wav(bits=12), "samples of 12 bits"),
    bad("0 bits", wav(bits=0), "samples of 0 bits"),
    bad("65,535 bits", wav(bits=65535), "samples of 65535 bits"),
    bad("ADPCM", wav(tag=2), "format 2"),
    bad("floats of 16 bits", wav(tag=3), "samples of 16 bits, format 3"),
    bad("an extension cut short", wav(fmt=EXTENSIBLE[:20]), "format 65534"),
    bad("NaN", floats(0, np.nan), "NaN, infinite"),
    bad("infinity", floats(0, np.inf), "NaN, infinite"),
    bad("minus infinity", floats(0, -np.inf), "NaN, infinite"),
    bad("beyond 32 bits", floats(0, 1e300, bits=64), "beyond what 32 bits hold"),
    bad("NaN of 64 bits", floats(0, np.nan, bits=64), "NaN, infinite"),
    bad("65,535 channels", wav(channels=65535), "no whole number"),
    bad("another rate", wav(rate=8000), "mixes sample rates"),
    Row("a pipe", "no regular file", lambda folder: os.mkfifo(folder / FILE)),
    Row("a device", "no regular file", link(FILE, "/dev/zero")),
    Row("a file of 1 TiB", "is larger than 1024 MiB", sparse("wav")),
    Row("sound: a FLAC of 1 TiB", "is larger than 1024 MiB", sparse("flac"), read_sound),
    Row("sound: a pipe", "no regular file", lambda f: os.mkfifo(f / "set/a/x.flac"), read_sound),
    Row("a link to nothing", "cannot be read", link(FILE, "gone.wav")),
    Row("a link to itself", "cannot be read", link(FILE, "x.wav")),
    good("sizes that a pipe did not know", PIPED),
    good("sizes of 0 from a pipe", wav(size=0, riff=0)),
    good("another chunk of odd length", LISTED),
    good("extensible", wav(fmt=EXTENSIBLE)),
    good("8 bits", wav(bits=8)),
    good("24 bits", wav(SAMPLES[:1599], bits=24)),
    good("32 bits", wav(bits=32)),
    good("two channels", wav(channels=2)),
    good("one sample", wav(b"ab")),
    good("floats beyond full scale", floats(0, 500)),
]


def before(folder):
    """Two classes with a sound each."""
    for name in ("a", "b"):
        place(f"set/{name}/whole.wav", wav())(folder)


ROWS += [
    Row("text, shown", "cannot decode sound", place(FILE, "text"), "data wav:set"),
]
TABLE = Table("sounds", read, ROWS, before)
