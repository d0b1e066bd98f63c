"""Bytes at random, and right files with bytes changed: readers raise `UserError`, or read them."""

import contextlib
import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hostile import arrays, images, published_sets, sounds, weights
from hostile.test_hostile import bounded
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published import idx

from cnnlab.data.preprocess.decode import decode
from cnnlab.data.sources import wav
from cnnlab.data.sources.idx import _read
from cnnlab.data.sources.npz import NpzSource
from cnnlab.errors import UserError
from cnnlab.pretrained.checkpoint_file import read_checkpoint, read_metadata
from cnnlab.training.checkpoint_record import FORM, unseal
from cnnlab.training.run_folder import CONFIG, RESULT
from cnnlab.training.writer import ROW
from cnnlab.utils import array_pickle
from cnnlab.utils.files import parse_json

SIZE = 20_000
RIGHT = {
    "png": images.PNG,
    "jpeg": images.JPEG,
    "progressive jpeg": images.PROGRESSIVE,
    **{kind: images.encoded(kind) for kind in ("GIF", "WEBP", "BMP", "TIFF", "PPM")},
    "npz": arrays.packed(),
    "npz of numbers": arrays.WHOLE,
    "wav": sounds.wav(),
    "wav of floats": sounds.floats(0, 0.5, bits=64),
    "wav extensible": sounds.wav(fmt=sounds.EXTENSIBLE),
    "pth": weights.of(4, (4,), (1,)),
    "old pth": Path(__file__).parents[1].joinpath("pretrained/legacy.pth").read_bytes(),
    "idx": idx(np.eye(3)[None]),
    "idx, gzipped": gzip.compress(idx(np.eye(3)[None])),
    "cifar batch": published_sets.batch(),
    "safetensors": weights.saved(w=np.ones(3)),
}


def read_arrays(data):
    """Read the arrays of a file."""
    with file(data) as path:
        source = NpzSource(str(path), "train")
        [source[i] for i in range(len(source))]


def read_weights(data):
    """Read the weights of a file."""
    with file(data) as path:
        read_metadata(path)
        read_checkpoint(path)


def read_idx(data):
    """Read images as `IdxSource` does."""
    with file(data) as path:
        _read("idx:it", path, "images")


def read_batch(data):
    """Read a pickle of arrays."""
    with file(data) as path:
        array_pickle.read_arrays(path)


def read_sound(data):
    """Decode a sound; what is wrong is a `ValueError` that `WavSource` names the file for."""
    with contextlib.suppress(ValueError):
        wav.decode(data)


@contextlib.contextmanager
def file(data):
    """A file with these bytes."""
    with tempfile.NamedTemporaryFile() as opened:
        opened.write(data)
        opened.flush()
        yield Path(opened.name)


READERS = {
    **{"npz": read_arrays, "wav": read_sound, "idx": read_idx, "cifar": read_batch},
    **{"pth": read_weights, "safetensors": read_weights},
}


def reader(kind):
    """Return what reads a kind of file."""
    return next((read for name, read in READERS.items() if name in kind), decode)


@st.composite
def damaged(draw, right):
    """A right file with some runs of bytes replaced, left out or doubled."""
    data = bytearray(right)
    for _ in range(draw(st.integers(1, 4))):
        # Headers are where the sense is.
        start = draw(st.integers(0, min(200, len(data))) | st.integers(0, len(data)))
        stop = start + draw(st.integers(0, 8))
        data[start:stop] = draw(
            st.binary(max_size=8) | st.sampled_from([b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f"])
        )
    return bytes(data[: draw(st.just(len(data)) | st.integers(0, len(data)))])


CAREFUL = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=100,
    suppress_health_check=list(HealthCheck),
)


def refuse_or_read(read, data):
    """Read bytes; only a `UserError` of one line may come."""
    try:
        read(data)
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("kind", RIGHT)
def test_a_damaged_file_is_refused_or_read(kind):
    @CAREFUL
    @given(damaged(RIGHT[kind]))
    def check(data):
        refuse_or_read(reader(kind), data)

    with bounded():
        check()


@pytest.mark.parametrize(
    "read", [decode, read_arrays, read_idx, read_batch, read_sound, read_weights]
)
def test_bytes_at_random_are_refused_or_read(read):
    starts = [b"", *{data[:12] for data in RIGHT.values()}]

    @CAREFUL
    @given(st.sampled_from(starts), st.binary(max_size=SIZE))
    def check(start, rest):
        refuse_or_read(read, start + rest)

    with bounded():
        check()


KNOWN = {str(name).rstrip("?") for form in (CONFIG, RESULT, FORM) for name in form}
NAMES = st.text(max_size=5) | st.sampled_from(sorted(KNOWN))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("form", [CONFIG, RESULT, ROW, FORM], ids=["config", "result", "row", "p"])
def test_json_of_any_form_is_refused_or_read(form):
    @CAREFUL
    @given(st.dictionaries(NAMES, VALUES, max_size=8) | VALUES | st.binary(max_size=50))
    def check(value):
        data = value if isinstance(value, bytes) else json.dumps(value)
        refuse_or_read(lambda data: parse_json(data, form, "it", "get it again"), data)

    with bounded():
        check()


@CAREFUL
@given(VALUES)
def test_a_position_of_any_form_is_refused_or_read(value):
    with contextlib.suppress(ValueError):
        unseal(value)
