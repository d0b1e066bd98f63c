import os

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.sources.folder import FolderSource
from cnnlab.errors import UserError


def save(file, value=0, size=(5, 4)):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 0, 0)).save(file)


def make(root, classes=("cat", "dog"), count=3, value=0):
    for number, name in enumerate(classes):
        for i in range(count):
            save(root / name / f"{i}.png", value + 10 * number + i)
    return root


def values(source):
    return sorted(
        (int(source[i]["image"][0, 0, 0]), int(source[i]["label"])) for i in range(len(source))
    )


def test_one_folder_per_class_is_a_split_called_train(tmp_path):
    source = FolderSource(str(make(tmp_path)), "train")
    assert source.info.class_names == ("cat", "dog")
    assert values(source) == [(0, 0), (1, 0), (2, 0), (10, 1), (11, 1), (12, 1)]
    example = source[0]
    assert example["image"].shape == (4, 5, 3)
    assert (example["image"].dtype, example["label"].dtype) == (np.uint8, np.int32)


@pytest.mark.parametrize("name", ["validation", "valid", "val"])
def test_folders_named_as_splits_are_splits(tmp_path, name):
    for number, folder in enumerate(["train", name, "test"]):
        make(tmp_path / folder, value=100 * number // 2, count=1)
    assert values(FolderSource(str(tmp_path), "train")) == [(0, 0), (10, 1)]
    assert values(FolderSource(str(tmp_path), "validation")) == [(50, 0), (60, 1)]
    assert values(FolderSource(str(tmp_path), "test+train")) == [
        (0, 0),
        (10, 1),
        (100, 0),
        (110, 1),
    ]


def test_a_slice_has_all_classes_and_parts_make_up_the_whole(tmp_path):
    make(tmp_path, [f"c{i}" for i in range(5)], count=10)
    part, rest = (FolderSource(str(tmp_path), f"train[{cut}]") for cut in (":80%", "80%:"))
    assert len(part) == 40
    assert {label for _, label in values(part)} == set(range(5))
    assert sorted(values(part) + values(rest)) == values(FolderSource(str(tmp_path), "train"))


def test_the_order_does_not_depend_on_where_the_folder_is(tmp_path):
    one, two = (FolderSource(str(make(tmp_path / d)), "train") for d in ("a", "b"))
    for i in range(6):
        np.testing.assert_array_equal(one[i]["image"], two[i]["image"])
    # Pinned: another order would change every split that users have made.
    assert [int(one[i]["image"][0, 0, 0]) for i in range(6)] == ORDER


ORDER = [2, 11, 12, 1, 0, 10]


def test_deeper_folders_belong_to_their_class_and_hidden_files_to_none(tmp_path):
    make(tmp_path, count=1)
    save(tmp_path / "cat" / "deep" / "er" / "x.PNG", 5)
    save(tmp_path / "cat" / ".hidden.png", 77)
    save(tmp_path / "cat" / ".thumbs" / "y.png", 77)
    save(tmp_path / ".git" / "z.png", 77)
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    source = FolderSource(str(tmp_path), "train")
    assert source.info.class_names == ("cat", "dog")
    assert values(source) == [(0, 0), (5, 0), (10, 1)]


@pytest.mark.parametrize("extension", ["jpg", "jpeg", "png", "bmp", "webp", "gif", "tif", "tiff"])
def test_these_kinds_of_file_are_images(tmp_path, extension):
    make(tmp_path, count=1)
    save(tmp_path / "cat" / f"x.{extension}", 5)
    source = FolderSource(str(tmp_path), "train")
    assert len(source) == 3
    assert all(source[i]["image"].shape == (4, 5, 3) for i in range(3))


def test_linked_classes_are_followed(tmp_path):
    make(tmp_path / "all", count=1)
    (tmp_path / "few").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "few" / name).symlink_to(tmp_path / "all" / name)
    assert values(FolderSource(str(tmp_path / "few"), "train")) == [(0, 0), (10, 1)]


def test_a_class_may_be_called_train(tmp_path):
    make(tmp_path, ["plane", "train"], count=1)
    assert FolderSource(str(tmp_path), "train").info.class_names == ("plane", "train")


def test_other_folders_beside_the_splits_are_passed_over(tmp_path):
    make(tmp_path / "train", count=1)
    save(tmp_path / "docs" / "figure.png")
    assert values(FolderSource(str(tmp_path), "train")) == [(0, 0), (10, 1)]


def test_a_corrupt_file_is_named_with_its_index(tmp_path):
    make(tmp_path)
    (tmp_path / "dog" / "1.png").write_bytes(b"")
    source = FolderSource(str(tmp_path), "train")
    with pytest.raises(CorruptImage) as caught:
        [source[i] for i in range(6)]
    assert caught.value.file == str(tmp_path / "dog" / "1.png")
    with pytest.raises(CorruptImage):
        source[caught.value.index]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        FolderSource(str(tmp_path / "gone"), "train")


@pytest.mark.parametrize(
    "files", [[], ["a.png"], ["train/a.png"], ["val/cat/a.png", "test/cat/b.png"]]
)
def test_without_class_folders_the_layout_is_shown(tmp_path, files):
    for file in files:
        save(tmp_path / file)
    with pytest.raises(UserError, match=r"PATH/train/CLASS/\*\.jpg"):
        FolderSource(str(tmp_path), "train")


def test_one_class_is_too_few(tmp_path):
    make(tmp_path, ["cat"])
    with pytest.raises(UserError, match=r"one class only, 'cat'.*needs two"):
        FolderSource(str(tmp_path), "train")


def test_a_class_without_images_is_named(tmp_path):
    make(tmp_path)
    (tmp_path / "cow").mkdir()
    with pytest.raises(UserError, match=r"cow has no images"):
        FolderSource(str(tmp_path), "train")


def test_a_class_that_train_has_not_is_named(tmp_path):
    make(tmp_path / "train", count=1)
    make(tmp_path / "val", ["cat", "dgo"], count=1)
    with pytest.raises(UserError, match="'dgo' that train has not"):
        FolderSource(str(tmp_path), "validation")


def test_two_folders_for_one_split_are_refused(tmp_path):
    for name in ("train", "val", "valid"):
        make(tmp_path / name, count=1)
    with pytest.raises(UserError, match="'val' and 'valid': keep one"):
        FolderSource(str(tmp_path), "train")


def test_an_unknown_split_is_answered_with_those_there_are(tmp_path):
    with pytest.raises(UserError, match=r"'test'.*are: train \(6\)"):
        FolderSource(str(make(tmp_path)), "test")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("training", "testing"),
        ("train_set", "test-set"),
        ("TrainingSet", "Test Images"),
        ("train_data", "test"),
    ],
)
def test_split_folders_are_recognized_in_other_spellings(tmp_path, train, test):
    make(tmp_path / train, count=1)
    make(tmp_path / test, count=1, value=100)
    make(tmp_path / "Val", count=1, value=50)
    assert values(FolderSource(str(tmp_path), "train")) == [(0, 0), (10, 1)]
    assert values(FolderSource(str(tmp_path), "validation+test")) == [
        (50, 0),
        (60, 1),
        (100, 0),
        (110, 1),
    ]


@pytest.mark.parametrize("folders", [("tr", "te"), ("part1", "part2", "part3"), ("old", "test")])
def test_folders_of_folders_of_the_same_names_are_no_classes(tmp_path, folders):
    tmp_path /= "all"
    for folder in folders:
        make(tmp_path / folder, ["ant", "cat", "dog"] if folder == "te" else ["cat", "cow", "dog"])
    with pytest.raises(UserError, match=r"call them train.*put them into a folder 'train'"):
        FolderSource(str(tmp_path), "train")
    (tmp_path.parent / "set").mkdir()
    (tmp_path.parent / "set" / "train").symlink_to(tmp_path)  # what the message says
    source = FolderSource(str(tmp_path.parent / "set"), "train")
    assert source.info.class_names == tuple(sorted(folders))


def test_classes_may_have_folders_of_the_same_name(tmp_path):
    for name in ("cat", "dog"):
        make(tmp_path / name, ["day", "night"], count=1)
        save(tmp_path / name / "0.png")
    assert FolderSource(str(tmp_path), "train").info.class_names == ("cat", "dog")


@pytest.mark.parametrize("target", [".", "..", "../..", "/", "../dog", "deep/itself", "loop"])
def test_links_of_a_class_to_itself_above_or_to_another_add_nothing(tmp_path, target):
    make(tmp_path / "train", count=2)
    save(tmp_path / "train/cat/deep/x.png", 5)
    (tmp_path / "train/cat/loop").symlink_to(target)
    (tmp_path / "train/cat/deep/itself").symlink_to("../deep")
    (tmp_path / "train/cat/twice").symlink_to("deep")
    (tmp_path / "train/dog/x.png").symlink_to("x.png")
    source = FolderSource(str(tmp_path), "train")
    places = {
        file.rpartition("/")[2] + str(n)
        for n, file in zip(source.labels(), source.files(), strict=True)
    }
    assert len(places) == len(source) == 6
    with pytest.raises(CorruptImage, match="cannot be read"):
        [source[i] for i in range(6)]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder link"])
def test_what_is_no_regular_file_is_refused_and_not_read(tmp_path, kind):
    make(tmp_path, count=1)
    place = tmp_path / "cat" / "x.png"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        place.symlink_to(tmp_path / "dog")
    source = FolderSource(str(tmp_path), "train")
    if kind == "folder link":  # a folder of the class, and another class's
        assert len(source) == 2
        return
    with pytest.raises(CorruptImage, match=r"x\.png.*no regular file"):
        [source[i] for i in range(3)]


def test_a_class_whose_name_is_no_text_can_be_shown(tmp_path):
    make(tmp_path, ["cat", os.fsdecode(b"d\xff")], count=1)
    assert FolderSource(str(tmp_path), "train").info.class_names == ("cat", r"d\xff")


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "I;16"])
@pytest.mark.parametrize("extension", ["ppm", "pgm", "pbm", "pnm", "jfif"])
def test_portable_maps_and_jfif_are_images(tmp_path, extension, mode):
    make(tmp_path, count=1)
    kind = "JPEG" if extension == "jfif" else "PPM"
    if kind == "JPEG" and mode in ("1", "I;16"):
        mode = "L"
    Image.new(mode, (5, 4), 1).save(tmp_path / "cat" / f"x.{extension}", kind)
    source = FolderSource(str(tmp_path), "train")
    assert [source[i]["image"].shape for i in range(3)] == [(4, 5, 3)] * 3
