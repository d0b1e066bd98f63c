"""Sounds that soundfile reads, beside wav; without soundfile the error names the extra."""

import sys

import numpy as np
import pytest
from hostile.sounds import wav
from published import real

from cnnlab.data.sources.source import load
from cnnlab.errors import UserError


def write(folder, rate=8000, end="ogg"):
    """Write a sine by class."""
    soundfile = pytest.importorskip("soundfile")
    for i, name in enumerate(("low", "high")):
        (folder / name).mkdir(parents=True)
        wave = np.sin(np.arange(4000) * (0.1 + 0.2 * i)) / 2
        soundfile.write(folder / name / f"x.{end}", np.stack([wave, wave], 1), rate)
    return wave


@pytest.mark.parametrize(("end", "error"), [("ogg", 0.05), ("flac", 1e-4), ("wav", 1e-4)])
def test_samples_are_those_that_were_written(tmp_path, end, error):
    wave = write(tmp_path, end=end)
    source = load(f"sound:{tmp_path}", "train")
    example = source[[f.startswith("high") for f in source.files()].index(True)]
    assert (source.rate, example["waveform"].dtype) == (8000, np.float32)
    np.testing.assert_allclose(example["waveform"], wave, atol=error)


def test_files_of_another_rate_are_refused(tmp_path):
    write(tmp_path, 8000)
    (tmp_path / "low/y.wav").write_bytes(wav(rate=16_000))
    with pytest.raises(UserError, match=r"sound:.*mixes sample rates"):
        source = load(f"sound:{tmp_path}", "train")
        [source[i] for i in range(3)]


def test_what_is_no_sound_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / "low/x.ogg").write_bytes(b"OggS" + bytes(40))
    source = load(f"sound:{tmp_path}", "train")
    with pytest.raises(UserError, match=r"cannot decode sound .*low/x.ogg"):
        [source[i] for i in range(2)]


def test_without_soundfile_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.ogg").write_bytes(b"OggS")
    with pytest.raises(UserError, match=r"pip install 'cnnlab\[sound\]'"):
        load(f"sound:{tmp_path}", "train")
    for name in ("a", "b"):
        (tmp_path / name / "x.ogg").unlink()
        (tmp_path / name / "x.wav").write_bytes(wav())
    assert len(load(f"sound:{tmp_path}", "train")[0]["waveform"]) == 800


def test_the_real_clips_have_five_folds():
    folder = real("esc10")
    pytest.importorskip("soundfile")
    path = f"sound:{folder}/{{_}} - {{label}}/{{fold}}-*.ogg"
    for fold in range(1, 6):
        assert len(load(path, f"fold=={fold}")) == 80
    source = load(path, "fold!=3")
    assert (len(source), source.rate, len(source.info.class_names)) == (320, 22_050, 10)
    assert 0.01 < np.abs(source[7]["waveform"]).max() <= 1.2
