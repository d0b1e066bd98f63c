import numpy as np
import pytest
from hostile.sounds import wav
from PIL import Image
from published import real

from cnnlab.data.sources.source import load, moved
from cnnlab.errors import UserError

NAMES = [f"{digit}_{who}_{i}.wav" for digit in (9, 10) for who in ("ann", "bo") for i in range(6)]


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoken")
    for name in NAMES:
        (folder / name).write_bytes(wav(rate=8000))
    (folder / "readme.txt").write_text("no sound")
    return f"wav:{folder}/{{label}}_{{speaker}}_{{index}}.wav"


def test_class_and_keys_stand_in_the_name(spoken):
    source = load(spoken, "train")
    assert sorted(source.files()) == sorted(NAMES)
    # By number, not by text; `index` is what batches number their rows by.
    assert source.info.class_names == ("9", "10")
    assert set(source.info.spec) == {"waveform", "label", "speaker", "rate"}
    for i, name in enumerate(source.files()):
        digit, speaker, _ = name.split("_")
        example = source[i]
        assert source.info.class_names[example["label"]] == digit
        assert example["speaker"] == ("ann", "bo").index(speaker)
        assert example["speaker"].dtype == np.int32


@pytest.mark.parametrize(
    ("split", "kept"),
    [
        ("index<2", lambda digit, who, i: i < 2),
        ("index >= 2", lambda digit, who, i: i >= 2),
        ("index!=3 & speaker==bo", lambda digit, who, i: i != 3 and who == "bo"),
        ("label=10", lambda digit, who, i: digit == 10),
        ("label<10&index>4", lambda digit, who, i: digit < 10 and i > 4),
        ("index==1+index==3", lambda digit, who, i: i in (1, 3)),
        ("index<=2+index>2", lambda digit, who, i: True),
    ],
)
def test_splits_are_conditions(spoken, split, kept):
    expected = [
        n for n in NAMES if kept(*(int(x) if x.isdigit() else x for x in n[:-4].split("_")))
    ]
    source = load(spoken, split)
    assert sorted(source.files()) == sorted(expected)
    # Classes keep their number in every split.
    assert source.info.class_names == ("9", "10")


def test_conditions_can_be_cut(spoken):
    whole = load(spoken, "index<4")
    parts = [load(spoken, f"index<4[{cut}]") for cut in (":25%", "25%:")]
    np.testing.assert_array_equal(np.concatenate([p.ids() for p in parts]), whole.ids())


def test_folders_have_fields_too_and_the_same_field_the_same_text(tmp_path):
    for place in ("001 - Dog/1-a.png", "002 - Rain - sea/2-b.png", "002 - Rain - sea/1-c.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        Image.new("L", (3, 2)).save(tmp_path / place)
    source = load(f"folder:{tmp_path}/{{_}} - {{label}}/{{fold}}-*.png", "fold==1")
    assert source.info.class_names == ("Dog", "Rain - sea")
    assert sorted(source.files()) == ["001 - Dog/1-a.png", "002 - Rain - sea/1-c.png"]
    for place in ("Ann/Ann_1.png", "Ann/Bo_2.png", "Bo/Bo_1.png"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        Image.new("L", (3, 2)).save(tmp_path / place)
    source = load(f"folder:{tmp_path}/{{label}}/{{label}}_{{number}}.png", "train")
    assert sorted(source.files()) == ["Ann/Ann_1.png", "Bo/Bo_1.png"]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("taek<5", "no field 'taek'"),
        ("speaker<bo", "compares names: use == or !="),
        ("speaker==carl", "no speaker is 'carl'"),
        ("index<five", "'five' is no index, which are numbers from 0 to 5"),
        ("index<0", r"where index<0: there is no such file"),
        ("index<", "cannot read 'index<'"),
        ("index==1[", r"cannot read split 'train\['"),
        ("test", r"Unknown split 'test'.*train \(24\)"),
    ],
)
def test_a_condition_that_cannot_be_is_explained(spoken, split, message):
    with pytest.raises(UserError, match=message):
        load(spoken, split)


def test_a_pattern_keeps_its_fields_where_the_folder_moves(spoken):
    data = {"source": spoken, "data_dir": "", "eval": {"splits": {}, "sources": {}}}
    assert moved(data, "/new")["source"] == "wav:/new/{label}_{speaker}_{index}.wav"
    assert moved(data, "/new/{label}.wav")["source"] == "wav:/new/{label}.wav"


def test_real_spoken_digits_have_their_official_split():
    path = f"wav:{real('fsdd')}/recordings/{{label}}_{{speaker}}_{{index}}.wav"
    test, train = load(path, "index<5"), load(path, "index>=5")
    assert (len(test), len(train), test.rate) == (300, 2700, 8000)
    assert np.bincount(test.labels()).tolist() == [30] * 10


def test_real_faces_are_divided_by_image_or_by_person():
    path = f"folder:{real('orl_faces')}/orl_faces/s{{label}}/{{number}}.pgm"
    assert np.bincount(load(path, "number<=5").labels()).tolist() == [5] * 40
    held_out = load(path, "label>30")
    assert sorted(np.unique(held_out.labels())) == list(range(30, 40))
    assert held_out[0]["image"].shape == (112, 92, 3)
