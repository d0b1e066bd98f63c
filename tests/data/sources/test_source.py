import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import list_source
import numpy as np
import pytest

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.sources import info
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.source import SkipCorrupt, Source, data_folder, load, moved
from cnnlab.errors import UserError

SPEC = {
    "image": ((None, None, 3), "uint8"),
    "label": ((), "int32"),
    "boxes": ((None, 4), "float32"),
    "masks": ((None, 8, 8), "uint8"),
    "presence": ((6,), "float32"),
}


class Damaged:
    """Ten examples, of which some are corrupt."""

    info = Info("toy", "train", ("a", "b"), SPEC)

    def __init__(self, corrupt, count=10):
        self.corrupt, self.count = set(corrupt), count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index in self.corrupt:
            raise CorruptImage(f"{index}.png", index, "cut off")
        label = np.asarray(index, np.int32)
        return {"image": np.full((8, 8, 3), index, np.uint8), "label": label}


@pytest.mark.parametrize("name", ["digits", "npz:a.npz", "wav:a", "package.module:Name"])
def test_a_set_without_exif_is_not_asked_to_ignore_it(name):
    with pytest.raises(UserError, match=f"data.exif=ignore: '{name}' reads no EXIF"):
        load(name, "train", exif="ignore")
    with pytest.raises(UserError, match=r"unknown data\.exif 'no'"):
        load(name, "train", exif="no")


def test_for_training_the_next_readable_example_stands_in():
    source = SkipCorrupt(Damaged([2, 3, 9]))
    assert [int(source[i]["label"]) for i in range(10)] == [0, 1, 4, 4, 4, 5, 6, 7, 8, 0]
    assert "valid" not in source[0]


def test_what_a_source_of_ones_own_cannot_open_is_passed_over_too():
    class Own(Damaged):
        def __getitem__(self, index):
            if index in self.corrupt:
                raise FileNotFoundError(2, "No such file or directory", f"{index}.png")
            return super().__getitem__(index)

    source = SkipCorrupt(Own([2, 3]))
    assert int(source[2]["label"]) == 4 and source.skipped == 2


def test_corrupt_examples_are_counted_once_however_often_and_by_whomever_they_are_met():
    source = SkipCorrupt(Damaged([2, 3, 9]))
    assert source.skipped == 0
    source[2]
    assert source.skipped == 2  # 3 was met on the way
    barrier = threading.Barrier(4)

    def read(_):
        barrier.wait()
        return [int(source[i]["label"]) for i in range(10)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(read, range(4)))
    assert results == [[0, 1, 4, 4, 4, 5, 6, 7, 8, 0]] * 4
    assert source.skipped == 3


def test_for_evaluation_what_stands_in_is_masked():
    source = SkipCorrupt(Damaged([4, 9]), flag_valid=True)
    examples = [source[i] for i in range(10)]
    assert [bool(e["valid"]) for e in examples] == [i not in (4, 9) for i in range(10)]
    assert source.corrupt().tolist() == [4, 9]
    # Whatever reads the example works on this one too.
    np.testing.assert_array_equal(examples[4]["image"], examples[5]["image"])
    assert source.info.spec["valid"] == ((), "bool")


def test_what_others_found_corrupt_is_left_out_unread():
    source = SkipCorrupt(Damaged([]), flag_valid=True)
    source.leave_out(np.array([3]))
    assert [bool(source[i]["valid"]) for i in range(10)] == [i != 3 for i in range(10)]
    assert source.skipped == 1


def test_a_set_in_which_nothing_is_readable_stops():
    with pytest.raises(UserError, match="10 examples in a row, from index 7"):
        SkipCorrupt(Damaged(range(10)))[7]
    with pytest.raises(UserError, match="100 examples in a row"):
        SkipCorrupt(Damaged(range(900), count=1000))[0]


def test_going_through_a_source_ends_after_its_last_example():
    for flag_valid in (False, True):
        assert len(list(SkipCorrupt(Damaged([9]), flag_valid=flag_valid))) == 10


def test_other_errors_are_not_passed_over():
    class Broken(Damaged):
        def __getitem__(self, index):
            raise TypeError(index)

    with pytest.raises(TypeError):
        SkipCorrupt(Broken([]))[0]


def test_the_wrapper_is_a_source_and_travels_to_other_processes():
    source = SkipCorrupt(Damaged([0]))
    source[0]
    copy = pickle.loads(pickle.dumps(source))
    assert isinstance(copy, Source)
    assert (copy.skipped, len(copy), int(copy[0]["label"])) == (1, 10, 1)


def test_prepared_sets_live_where_asked_then_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.delenv("CNNLAB_DATA", raising=False)
    assert data_folder() == "/home/me/tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", "/tfds")
    assert data_folder() == "/tfds"
    monkeypatch.setenv("CNNLAB_DATA", "~/cnnlab")
    assert data_folder() == "/home/me/cnnlab"
    assert data_folder("/asked") == "/asked"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digts", "did you mean 'digits'"),
        ("minst", "did you mean 'mnist'"),
        ("imagnet2012", "did you mean 'imagenet2012'"),
        ("qqqqqqqq", "embedded: digits.*scenes, glyphs, tones; TFDS: mnist.*folder:.*wav:.*npz:"),
        ("", "embedded: digits"),
        ("my set!", "embedded: digits"),
        ("floder:/data", "did you mean 'folder:/data'"),
        (":Rings", "write package.module:Name"),
        ("own_parts", "embedded: digits"),
    ],
)
def test_an_unknown_name_is_answered_with_what_there_is(name, message, tmp_path):
    with pytest.raises(UserError, match=message):
        load(name, "train", data_dir=str(tmp_path))


def test_a_bare_path_is_answered_with_how_to_write_it(tmp_path):
    np.savez(tmp_path / "x.npz", image=np.zeros((1, 2, 2), np.uint8), label=[0])
    with pytest.raises(UserError, match=f"write 'folder:{tmp_path}'"):
        load(str(tmp_path), "train")
    with pytest.raises(UserError, match=f"write 'npz:{tmp_path}/x.npz'"):
        load(f"{tmp_path}/x.npz", "train")


def test_prefixes_choose_files_of_ones_own(tmp_path):
    np.savez(tmp_path / "x.npz", image=np.zeros((4, 2, 2), np.uint8), label=[0, 1, 1, 0])
    source = load(f"npz:{tmp_path}/x.npz", "train[:75%]")
    assert isinstance(source, Source)
    assert len(source) == 3
    with pytest.raises(UserError, match="no folders in it"):
        load(f"folder:{tmp_path}", "train")


@pytest.mark.parametrize(
    ("source", "others", "expected"),
    [
        ("folder:/old/a", {"x": "folder:/old/b"}, ("", "folder:/new", "folder:/old/b")),
        ("folder:/old/a", {"x": "npz:/old/a/b.npz"}, ("", "folder:/new", "npz:/new/b.npz")),
        ("wav:~/a", {"x": "wav:~/a"}, ("", "wav:/new", "wav:/new")),
        ("npz:a.npz", {"x": "digits"}, ("", "npz:/new", "digits")),
        ("digits", {"x": "folder:/old/a"}, ("/new", "digits", "folder:/old/a")),
        ("imagenette/320px-v2", {"x": "mnist"}, ("/new", "imagenette/320px-v2", "mnist")),
    ],
)
def test_data_that_has_moved_is_looked_for_in_its_new_place(source, others, expected):
    data = {"source": source, "data_dir": "", "eval": {"splits": {"x": "x"}, "sources": others}}
    found = moved(data, "/new")
    assert (found["data_dir"], found["source"], found["eval"]["sources"]["x"]) == expected
    assert found["eval"]["splits"] == {"x": "x"}


@pytest.mark.parametrize("name", ["folder:", "wav:", "npz:", "folder"])
def test_a_source_without_its_path_is_refused(name):
    with pytest.raises(UserError, match=r"names no path: write \w+:/path"):
        load(name, "train")


def test_a_kind_of_source_is_one_line_of_the_table(monkeypatch):
    asked, made = [], list_source.ListSource(3)
    monkeypatch.setitem(info.PATH_SOURCES, "pair", "list_source:pair")
    monkeypatch.setattr(
        list_source, "pair", lambda *given: asked.append(given) or made, raising=False
    )
    assert load("pair:/some/where", "train") is made and asked == [("/some/where", "train")]
    with pytest.raises(UserError, match="write pair:/path"):
        load("pair:", "train")
    data = {"source": "pair:/old", "eval": {"sources": {"test": "pair:/old/test"}}}
    assert moved(data, "/new")["eval"]["sources"] == {"test": "pair:/new/test"}
