"""`sound:/path`: as `wav:`, with flac, ogg and mp3 beside wav, by the package soundfile."""

import io
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from cnnlab.data.sources import wav
from cnnlab.errors import UserError
from cnnlab.utils.files import read_file

RIFF = b"RIFF"


class SoundSource(wav.WavSource):
    """Sounds of any length with the label of their folder, or of their name."""

    kind = wav.ANY

    @staticmethod
    def rate_of(path: Path) -> int:
        """Return the samples a second of a file; ValueError where it is none."""
        if read_file(path, len(RIFF)) == RIFF:
            return wav.WavSource.rate_of(path)
        return _soundfile(read_file(path), header=True)[0]

    @staticmethod
    def decode(data: bytes) -> tuple[int, Float32[np.ndarray, "t"]]:
        """Return the samples a second and the samples of a file, channels averaged."""
        return wav.decode(data) if data[: len(RIFF)] == RIFF else _soundfile(data)


def _soundfile(data: bytes, *, header: bool = False) -> tuple[int, Float32[np.ndarray, "t"]]:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise UserError(
            "sounds other than wav are read by soundfile: pip install 'cnnlab[sound]', or "
            "convert them to wav"
        ) from error
    if not data:
        raise ValueError("the file is empty (0 bytes)")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            rate = int(file.samplerate)
            samples = np.zeros((1, 1), np.float32)
            if not header:
                samples = file.read(dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise ValueError(f"soundfile: {' '.join(str(error).split())}") from error
    if not len(samples):
        raise ValueError("it has no samples")
    return rate, samples.mean(axis=1)
