"""Sounds against the standard library's and SciPy's writers, and against files built by hand."""

import os
import pickle
import struct
import wave

import numpy as np
import pytest
from scipy.io import wavfile

from cnnlab import config as cfg
from cnnlab.data.loading import pipeline
from cnnlab.data.preprocess.transforms import preprocess
from cnnlab.data.sources.source import SkipCorrupt, Source, load
from cnnlab.data.sources.wav import CorruptSound, WavSource, decode
from cnnlab.errors import UserError

RATE = 16_000


def save(file, values, rate=RATE):
    file.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(file, rate, np.asarray(values))


def speakers(root, names=("19", "26"), count=3, rate=RATE):
    """Utterance i of a speaker has 10 + i samples; the first one tells whose it is."""
    for number, name in enumerate(names):
        for i in range(count):
            values = np.full(10 + i, 100 * number, np.int16)
            save(root / name / "198" / f"{name}-198-{i:04}.wav", values, rate)
    return root


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def riff(*chunks):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def form(tag=1, channels=1, rate=RATE, bits=16, more=b""):
    frame = channels * bits // 8
    return chunk(
        b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits) + more
    )


def test_integers_of_every_width_are_scaled_to_1():
    # Lowest, zero, a half, highest; 8 bits have no sign.
    wide = [-(2**31), 0, 2**30, 2**31 - 256]
    for bits in (16, 24, 32):
        data = b"".join(struct.pack("<i", v)[4 - bits // 8 :] for v in wide)
        rate, samples = decode(riff(form(bits=bits), chunk(b"data", data)))
        assert rate == RATE
        last = (wide[-1] >> (32 - bits)) / 2 ** (bits - 1)
        np.testing.assert_allclose(samples, [-1, 0, 0.5, last], atol=1e-7)
    _, samples = decode(riff(form(bits=8), chunk(b"data", bytes([0, 128, 192, 255]))))
    np.testing.assert_array_equal(samples, [-1, 0, 0.5, 127 / 128])
    assert samples.dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "zero", "one"),
    [
        (np.uint8, 128, 2**7),
        (np.int16, 0, 2**15),
        (np.int32, 0, 2**31),
        (np.float32, 0, 1),
        (np.float64, 0, 1),
    ],
)
def test_what_scipy_writes_is_read(tmp_path, dtype, zero, one):
    stored = (zero + 0.9 * one * np.sin(np.arange(50) / 5)).astype(dtype)
    save(tmp_path / "x.wav", stored)
    rate, samples = decode((tmp_path / "x.wav").read_bytes())
    assert rate == RATE
    np.testing.assert_allclose(samples, (stored.astype(float) - zero) / one, rtol=1e-7)


def test_what_the_standard_library_writes_is_read_and_channels_are_averaged(tmp_path):
    stereo = np.array([[1000, 3000], [-32768, 32767], [1, 2]], np.int16)
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(stereo.tobytes())
    rate, samples = decode((tmp_path / "x.wav").read_bytes())
    assert rate == 8000
    np.testing.assert_allclose(samples, stereo.mean(1) / 32768, atol=1e-9)


def test_loud_floats_stay_as_they_are():
    data = np.array([1.5, -3.0], "<f4").tobytes()
    np.testing.assert_array_equal(
        decode(riff(form(3, bits=32), chunk(b"data", data)))[1], [1.5, -3]
    )


def test_other_chunks_are_passed_over_and_the_long_form_of_the_format_is_read():
    data = chunk(b"data", struct.pack("<2h", 16384, -16384))
    extended = struct.pack("<HHIH", 22, 16, 4, 1) + bytes(14)
    for file in (
        riff(chunk(b"LIST", b"odd"), form(), chunk(b"fact", b"1234"), data, chunk(b"id3 ", b"x")),
        riff(form(0xFFFE, more=extended), data),
    ):
        np.testing.assert_array_equal(decode(file)[1], [0.5, -0.5])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"empty \(0 bytes\)"),
        (b"ID3 this is an mp3 file", "no RIFF WAVE"),
        (riff(form(), chunk(b"data", bytes(100)))[:-40], r"truncated: 60 of 100 bytes"),
        (riff(form()), "no 'data' chunk"),
        (riff(chunk(b"data", bytes(100))), "no 'fmt' chunk"),
        (riff(form(), chunk(b"data", bytes(3))), "3 bytes of samples make no whole number of 2"),
        (riff(form(), chunk(b"data", b"")), "0 bytes of samples"),
        (riff(chunk(b"fmt ", bytes(4))), "its format has 4 bytes"),
        (riff(form(tag=7, bits=8), chunk(b"data", bytes(8))), "format 7.*convert to PCM"),
        (riff(form(bits=12), chunk(b"data", bytes(8))), "12 bits"),
        (riff(form(channels=0), chunk(b"data", bytes(8))), r"0 channel\(s\)"),
    ],
)
def test_a_damaged_or_strange_file_is_named_with_its_index_and_what_is_wrong(
    tmp_path, data, message
):
    speakers(tmp_path)
    broken = tmp_path / "26" / "198" / "26-198-0001.wav"
    broken.write_bytes(data)
    source = load(f"wav:{tmp_path}", "train")
    index = source.files().index("26/198/26-198-0001.wav")
    with pytest.raises(CorruptSound, match=message) as caught:
        source[index]
    assert (caught.value.file, caught.value.index) == (str(broken), index)
    assert "on_corrupt=skip" in str(caught.value)


def test_corrupt_sounds_are_skipped_like_images(tmp_path):
    speakers(tmp_path)
    source = WavSource(str(tmp_path), "train")
    index = source.files().index("19/198/19-198-0002.wav")
    (tmp_path / "19" / "198" / "19-198-0002.wav").unlink()
    with pytest.raises(CorruptSound, match="No such file"):
        source[index]
    assert len(SkipCorrupt(source)[index]["waveform"]) > 0
    other = SkipCorrupt(source, flag_valid=True)[index]
    assert not other["valid"]
    assert len(preprocess(other, None, center_window={"size": 8})["waveform"]) == 8


def test_speakers_are_classes_however_deep_their_files(tmp_path):
    source = load(f"wav:{speakers(tmp_path)}", "train")
    assert isinstance(source, Source)
    assert source.info.class_names == ("19", "26")
    assert (len(source), source.rate) == (6, RATE)
    for index, file in enumerate(source.files()):
        example = source[index]
        speaker, utterance = file.split("/")[0], int(file[-8:-4])
        label = ("19", "26").index(speaker)
        expected = np.full(10 + utterance, 100 * label / 32768, np.float32)
        np.testing.assert_array_equal(example["waveform"], expected)
        assert (example["label"], example["rate"]) == (label, RATE)
        assert source.labels()[index] == label
        for key, (_, dtype) in source.info.spec.items():
            assert example[key].dtype == dtype


def test_splits_are_those_of_image_folders(tmp_path):
    speakers(tmp_path / "train", count=4)
    speakers(tmp_path / "val", count=1)
    assert len(load(f"wav:{tmp_path}", "train[:50%]")) == 4
    assert len(load(f"wav:{tmp_path}", "validation")) == 2
    with pytest.raises(UserError, match=r"'test'.*wav:.*train \(8\), validation \(2\)"):
        load(f"wav:{tmp_path}", "test")


def test_rates_that_differ_between_speakers_are_refused_at_once(tmp_path):
    speakers(tmp_path, ["19"])
    speakers(tmp_path, ["26"], rate=8000)
    with pytest.raises(
        UserError,
        match=r"mixes sample rates: 26/.* has 8000 Hz, 19/.* 16000 Hz|"
        r"mixes sample rates: 19/.* has 16000 Hz, 26/.* 8000 Hz",
    ):
        load(f"wav:{tmp_path}", "train")


def test_one_file_of_another_rate_is_refused_when_it_is_read(tmp_path):
    source = load(f"wav:{speakers(tmp_path)}", "train")
    place = source.files()[-1]
    save(tmp_path / place, np.zeros(4, np.int16), rate=8000)
    with pytest.raises(UserError, match=f"{place} has 8000 Hz") as caught:
        source[5]
    assert not isinstance(caught.value, CorruptSound)


def test_the_layout_is_shown_where_there_is_none(tmp_path):
    with pytest.raises(UserError, match=r"wav:.*one per class.*PATH/train/CLASS/\*\.wav"):
        load(f"wav:{tmp_path}", "train")
    speakers(tmp_path)
    (tmp_path / "31").mkdir()
    with pytest.raises(UserError, match=r"wav:.*31 has no sounds in it \(\.wav"):
        load(f"wav:{tmp_path}", "train")


def test_a_source_and_its_errors_travel_to_other_processes(tmp_path):
    source = pickle.loads(pickle.dumps(WavSource(str(speakers(tmp_path)), "train")))
    assert source[0]["waveform"].ndim == 1
    error = pickle.loads(pickle.dumps(CorruptSound("a.wav", 3, "why")))
    assert str(error) == str(CorruptSound("a.wav", 3, "why"))
    assert "cannot decode sound a.wav (index 3): why" in str(error)


def test_a_damaged_file_hides_no_mixture_of_rates(tmp_path):
    speakers(tmp_path, ["19"])
    speakers(tmp_path, ["26"], rate=8000)
    for number in range(2):
        for name in ("19", "26"):
            (tmp_path / name / "198" / f"{name}-198-{number:04}.wav").write_bytes(b"damaged")
    with pytest.raises(UserError, match="mixes sample rates"):
        load(f"wav:{tmp_path}", "train")


def test_training_reads_random_windows_of_sounds_of_any_length(tmp_path):
    for name in ("19", "26"):
        for i in range(3):
            save(tmp_path / name / f"{i}.wav", np.arange(40 + 10 * i, dtype=np.int16))
    data = cfg.base().data.to_dict()
    data["source"], data["keys"] = f"wav:{tmp_path}", ("waveform", "label")
    data["train"]["preprocess"] = {"random_window": {"size": 16}}
    data["eval"]["preprocess"] = {"center_window": {"size": 16}}
    batches = pipeline.train_data(data, seed=3, batch_size=4).batches(0)
    starts = []
    for _ in range(3):
        waves = next(batches)["waveform"] * 32768
        assert waves.shape == (4, 16)
        np.testing.assert_allclose(np.diff(waves), 1)
        starts += waves[:, 0].tolist()
    assert len(set(starts)) > 4
    (batch,) = pipeline.eval_data(data, "train", batch_size=6).batches()
    assert sorted((batch["waveform"][:, 0] * 32768).tolist()) == [12, 12, 17, 17, 22, 22]


@pytest.mark.parametrize("declared", [0, 0x7FFFF000, 0xFFFFFFFF])
@pytest.mark.parametrize("whole", [0, 36, 0xFFFFFFFF])
def test_a_sound_from_a_pipe_reaches_to_the_end_of_the_file(declared, whole):
    values = np.arange(-20, 20, dtype="<i2")
    data = b"RIFF" + struct.pack("<I", whole) + b"WAVE" + form() + b"data"
    data += struct.pack("<I", declared) + values.tobytes()
    for end in (b"", b"\1"):  # half a sample
        np.testing.assert_array_equal(decode(data + end)[1], values / 2**15)


def test_a_sound_without_samples_is_none_even_with_a_size_of_0():
    with pytest.raises(ValueError, match="0 bytes"):
        decode(riff(form(), chunk(b"data", b""), chunk(b"LIST", b"note")))


def test_a_pipe_in_a_folder_of_sounds_is_refused_and_not_read(tmp_path):
    speakers(tmp_path)
    for name in ("19", "26"):
        for file in (tmp_path / name / "198").iterdir():
            file.unlink()
            os.mkfifo(file)
    source = WavSource(str(tmp_path), "train")
    with pytest.raises(CorruptSound, match="no regular file"):
        source[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39, -1e300])
def test_samples_that_are_no_numbers_name_the_file(tmp_path, value):
    speakers(tmp_path)
    save(tmp_path / "19" / "198" / "bad.wav", np.array([0, value, 0], np.float64))
    source = WavSource(str(tmp_path), "train")
    with pytest.raises(CorruptSound, match=r"bad\.wav.*NaN, infinite or beyond"):
        [source[i] for i in range(len(source))]
