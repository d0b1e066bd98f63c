"""`wav:/path`, `sound:/path`: sounds in one folder per class, such as a speaker.

    /path/train/<speaker>/<chapter>/<utterance>.wav   or   /path/<speaker>/<chapter>/<utterance>.wav
    /path/validation/..., /path/test/...

`class_folders.py` has the rules for classes, splits and their order, `file_pattern.py` those of
paths such as `wav:/path/{label}_{speaker}_{take}.wav`. `sound:` reads flac, ogg and mp3 too, as
LibriSpeech has them, by the package soundfile. Integer samples of 8, 16, 24 and 32 bits and floats
of 32 and 64 are read. Channels are averaged. Of a file written through a pipe, whose header could
not be given its length afterwards, the samples reach to the end of the file.

    waveform  float32 (t,), full scale of integers is -1 to 1; floats are kept as they are
    label     int32
    rate      int32, samples a second, the same in all files

Deviation: of the rates, that of one file of each class is compared when the set is opened, and
that of every file when it is read.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from cnnlab.data.preprocess.decode import CorruptFile
from cnnlab.data.sources.class_folders import File, FileSource, Kind
from cnnlab.data.sources.file_pattern import list_files
from cnnlab.data.sources.info import Info
from cnnlab.errors import UserError
from cnnlab.utils.files import read_file

KIND = Kind("wav", "sounds", (".wav", ".wave"))
ANY = Kind("sound", "sounds", (*KIND.extensions, ".flac", ".ogg", ".oga", ".opus", ".mp3"))
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
# Bits and whether they are floats -> dtype and full scale; 24 bits have no dtype.
SAMPLES = {
    (8, False): ("u1", 2.0**7),
    (16, False): ("<i2", 2.0**15),
    (24, False): ("<i4", 2.0**31),
    (32, False): ("<i4", 2.0**31),
    (32, True): ("<f4", 1.0),
    (64, True): ("<f8", 1.0),
}


HEAD = 4096  # bytes in which the format is
# From here on a size that the file has not is one that the writer did not know: 0x7FFFF000, say.
UNKNOWN_SIZE = 0x7FFF0000


Decode = Callable[[bytes], tuple[int, Float32[np.ndarray, "t"]]]


class CorruptSound(CorruptFile):
    """A sound that cannot be decoded: which file, which index, and why."""

    what = "sound"


class Format(NamedTuple):
    """What a file says of its samples."""

    tag: int
    channels: int
    rate: int
    bits: int


class WavSource(FileSource):
    """Sounds of any length with the label of their folder.

    Attributes:
        rate: samples a second.
    """

    kind = KIND

    def __init__(self, path: str, split: str):
        """List the files that `split` selects, and read the head of one of each class.

        Raises:
            UserError: if `path` does not hold at least two classes of sounds laid out as above, or
                if these have different rates.
        """
        class_names, self._files, self._keys = list_files(self.kind, path, split)
        self.rate, self._first = 0, ""
        seen: set[int] = set()
        for file in self._files:
            if file.label not in seen:
                try:
                    rate = self.rate_of(file.folder / file.place)
                except UserError:
                    raise
                except (OSError, ValueError):
                    continue  # reported when it is read; another of the class will do
                self._check(rate, file)
                seen.add(file.label)
        numbers = dict.fromkeys(("label", *self._keys, "rate"), ((), "int32"))
        spec = {"waveform": ((None,), "float32"), **numbers}
        self.info = Info(f"{self.kind.prefix}:{path}", split, class_names, spec)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        file = self._files[index]
        rate, waveform = _read(file, int(index), self.decode)
        self._check(rate, file)
        numbers = file.numbers(self._keys)
        return {"waveform": waveform, **numbers, "rate": np.asarray(rate, np.int32)}

    @staticmethod
    def rate_of(path: Path) -> int:
        """Return the samples a second of a file; ValueError as `decode`."""
        return _format(read_file(path, HEAD)).rate

    @staticmethod
    def decode(data: bytes) -> tuple[int, Float32[np.ndarray, "t"]]:
        """Return the samples a second and the samples of a file; see `decode`."""
        return decode(data)

    def _check(self, rate: int, file: File) -> None:
        if not self._first:
            self.rate, self._first = rate, file.place
        if rate != self.rate:
            raise UserError(
                f"{self.kind.prefix}:{file.folder} mixes sample rates: {file.place} has {rate} Hz, "
                f"{self._first} {self.rate} Hz; convert them to one rate"
            )


def decode(data: bytes) -> tuple[int, Float32[np.ndarray, "t"]]:
    """Return the samples a second and the samples of a file.

    Raises:
        ValueError: saying why, if it is no whole file of a kind that the module's docstring lists.
    """
    form = _format(data)
    frame = form.channels * form.bits // 8
    samples = _chunk(data, b"data", frame)
    if not len(samples) or len(samples) % frame:
        raise ValueError(f"{len(samples):,} bytes of samples make no whole number of {frame} bytes")
    return form.rate, _mono(form, samples)


def _read(file: File, index: int, decode: Decode) -> tuple[int, Float32[np.ndarray, "t"]]:
    path = file.folder / file.place
    try:
        return decode(read_file(path))
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise CorruptSound(str(path), index, reason) from error
    except UserError:  # what reads it is missing
        raise
    except ValueError as error:
        raise CorruptSound(str(path), index, str(error)) from error


def _format(data: bytes) -> Format:
    chunk = _chunk(data, b"fmt ")
    if len(chunk) < 16:
        raise ValueError(f"its format has {len(chunk)} bytes")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == EXTENSIBLE and len(chunk) >= 26:
        (tag,) = struct.unpack_from("<H", chunk, 24)
    if tag not in (PCM, FLOAT) or (bits, tag == FLOAT) not in SAMPLES or not channels or not rate:
        raise ValueError(
            f"samples of {bits} bits, format {tag}, {channels} channel(s) at {rate} Hz: convert to "
            "PCM of 8, 16, 24 or 32 bits or floats of 32 or 64"
        )
    return Format(tag, channels, rate, bits)


def _chunk(data: bytes, wanted: bytes, frame: int = 0) -> memoryview:
    """Return the content of the first chunk of this name.

    Args:
        data: of the file.
        wanted: the name.
        frame: bytes of which a chunk of unknown size has a whole number; 0: sizes are known.
    """
    if not data:
        raise ValueError("the file is empty (0 bytes)")
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise ValueError("it is no RIFF WAVE file")
    start = 12
    while start + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, start)
        chunk = memoryview(data)[start + 8 : start + 8 + size]
        if name == wanted:
            unknown = size >= UNKNOWN_SIZE if size else _is_longer(data)
            if frame and unknown and len(chunk) <= size:
                rest = memoryview(data)[start + 8 :]
                return rest[: len(rest) // frame * frame]
            if len(chunk) < size:
                raise ValueError(f"truncated: {len(chunk):,} of {size:,} bytes are there")
            return chunk
        start += 8 + size + size % 2
    raise ValueError(f"truncated: it has no '{wanted.decode().strip()}' chunk")


def _is_longer(data: bytes) -> bool:
    """Return whether a file is longer than its header says, or the header leaves that open."""
    (size,) = struct.unpack_from("<I", data, 4)
    return size >= UNKNOWN_SIZE or size + 8 < len(data)


def _mono(form: Format, samples: memoryview) -> Float32[np.ndarray, "t"]:
    dtype, scale = SAMPLES[form.bits, form.tag == FLOAT]
    if form.bits == 24:  # the highest of 32
        wide = np.zeros((len(samples) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(samples, np.uint8).reshape(-1, 3)
        values = wide.view(dtype).ravel()
    else:
        values = np.frombuffer(samples, dtype)
    # In double precision: a mean of 32-bit samples would lose their last bits before rounding.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = values.reshape(-1, form.channels).mean(1, dtype=np.float64)
        waveform = ((mean - (scale if form.bits == 8 else 0)) / scale).astype(np.float32)
    if form.tag == FLOAT and not np.isfinite(waveform).all():
        raise ValueError("samples are NaN, infinite or beyond what 32 bits hold")
    return waveform
