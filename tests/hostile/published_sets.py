"""Published data sets whose files are damaged, missing or of another kind."""

import gzip
import os
import pickle
import shutil

import numpy as np
from hostile import pickles
from hostile.images import PNG, flipped
from hostile.row import Row, Table, change, link, place, remove
from published import cifar10, cifar10_python, idx, mnist, omniglot

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 32, 3), np.uint8)
LABELS = np.arange(18).reshape(6, 3) % 2
TRAIN = "mnist/train-{}-idx{}-ubyte"
X, Y = TRAIN.format("images", 3), TRAIN.format("labels", 1)
GRAY, DIGITS = IMAGES[0, :, :, :, 0], LABELS[0]
PACKED = gzip.compress(idx(GRAY))
BIN, PY = "bin/cifar-10-batches-bin", "py/cifar-10-batches-py"
READ_BIN, READ_PY = "data cifar:bin", "data cifar:py"
ROWS_3 = bytes(3 * 3073)


def instead(name, content):
    """Make what replaces the file of images by one of another name."""
    return change(remove(X), place(name, content))


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.parts = (function, arguments)

    def __reduce__(self):
        return self.parts


def batch(**content):
    """Return a pickle of a batch with other content."""
    right = {"data": np.zeros((3, 3072), np.uint8), "labels": [0, 1, 0]}
    return pickle.dumps({**right, **content}, 2)


def images(name, content, words):
    """A row of another file of images for MNIST."""
    return Row(name, words, place(X, content))


def labels(name, content, words):
    """A row of another file of labels for MNIST."""
    return Row(name, words, place(Y, content))


def binary(name, content, words, file="data_batch_2.bin"):
    """A row of another binary batch of CIFAR-10."""
    return Row(name, words, place(f"{BIN}/{file}", content), READ_BIN)


def pickled(name, content, words, file="data_batch_2"):
    """A row of another pickled batch of CIFAR-10."""
    return Row(name, words, place(f"{PY}/{file}", content), READ_PY)


NAME = "train-images-idx3-ubyte"
ROWS = [
    Row("idx: no such folder", "'The MNIST database", read="data idx:gone"),
    Row("idx: an empty folder", "has no idx files", lambda f: (f / "e").mkdir(), "data idx:e"),
    Row("idx: a file in its place", "no such folder", read=f"data idx:{X}"),
    Row("idx: no labels", "no labels beside train-images", remove(Y)),
    Row("idx: no images", "no images beside train-labels", remove(X)),
    Row("idx: no test files", "are: train (3)", read="data idx:mnist --split=test"),
    Row(
        "idx: a folder in place of a file",
        "no images beside",
        change(remove(X), lambda folder: (folder / X).mkdir()),
    ),
    Row(
        "idx: a pipe in place of a file", "no images", change(remove(X), lambda f: os.mkfifo(f / X))
    ),
    Row("idx: a device in place of a file", "no images", change(remove(X), link(X, "/dev/zero"))),
    images("idx: empty", b"", f"{NAME} has no head"),
    images("idx: text", b"<html>not found</html>", f"{NAME} has magic number 1013478509, wanted"),
    images("idx: labels in place of images", idx(DIGITS), "magic number 2049, wanted 2051 or 2052"),
    labels("idx: images in place of labels", idx(GRAY), "magic number 2051, wanted 2049"),
    images("idx: floats", idx(GRAY, kind=13), "magic number 3331, wanted 2051"),
    images("idx: cut in its head", idx(GRAY)[:9], f"{NAME} is cut short within its head"),
    images("idx: cut in its images", idx(GRAY)[:-1], f"{NAME} has 3,071 bytes after its head"),
    images("idx: longer than it says", idx(GRAY) + b"0", "at least 3,073 bytes after its head"),
    images("idx: 2^96 images", idx(GRAY)[:4] + b"\xff" * 12, "GB, this machine"),
    images(
        "idx: 10^9 bytes that are not there",
        idx(np.zeros((3, 1, 1)))[:8] + ((17_000).to_bytes(4, "big") * 2),
        "has 0 bytes after its head",
    ),
    images("idx: images without pixels", idx(np.zeros((3, 0, 28))), "without pixels"),
    images("idx: fewer images than labels", idx(GRAY[:2]), "has 2 images, but there are 3 labels"),
    labels(
        "idx: fewer labels than images", idx(DIGITS[:2]), "has 3 images, but there are 2 labels"
    ),
    Row(
        "idx: 10 GB of images, and three labels",
        "has 10,485,760 images, but there are 3 labels",
        change(
            place(X, idx(GRAY)[:4] + (10 << 20).to_bytes(4, "big") + (32).to_bytes(4, "big") * 2),
            lambda folder: os.truncate(folder / X, (10 << 30) + 16),
        ),
    ),
    labels("idx: no labels in it", idx(DIGITS[:0]), "selects no example"),
    *(
        Row(
            f"idx: a gzip file cut at {p}",
            f"{NAME}.gz",
            instead(f"{X}.gz", PACKED[: int(p * len(PACKED))]),
        )
        for p in (0.01, 0.5, 0.99)
    ),
    Row(
        "idx: a bit of gzip flipped",
        f"{NAME}.gz is damaged",
        instead(f"{X}.gz", flipped(PACKED, 0.5)),
    ),
    Row("idx: a gzip file of text", "magic number", instead(f"{X}.gz", gzip.compress(b"notidx"))),
    Row(
        "idx: a file called .gz that is none",
        "samples drawn",
        instead(f"{X}.gz", idx(GRAY)),
        works=True,
    ),
    Row("idx: a gzip file not called .gz", "samples drawn", place(X, PACKED), works=True),
    Row("cifar: no such folder", "Alex Krizhevsky's page", read="data cifar:gone"),
    Row("cifar: an empty folder", "has no batches", lambda f: (f / "e").mkdir(), "data cifar:e"),
    Row(
        "cifar: a batch of 1 TiB",
        "is larger than 1024 MiB",
        lambda folder: os.truncate(folder / f"{BIN}/data_batch_3.bin", 1 << 40),
        READ_BIN,
    ),
    Row(
        "cifar: a pickle of 1 TiB",
        "is larger than 1024 MiB",
        lambda folder: os.truncate(folder / f"{PY}/data_batch_3", 1 << 40),
        READ_PY,
    ),
    Row(
        "cifar: a batch missing",
        "has no data_batch_3.bin",
        remove(f"{BIN}/data_batch_3.bin"),
        READ_BIN,
    ),
    Row(
        "cifar: no class names",
        "has no batches.meta.txt",
        remove(f"{BIN}/batches.meta.txt"),
        READ_BIN,
    ),
    binary("cifar: empty class names", b"\n", "no names of classes", "batches.meta.txt"),
    binary("cifar: an empty batch", b"", "data_batch_2.bin has 0 bytes"),
    binary("cifar: a batch cut short", ROWS_3[:-1], "has 9,218 bytes, no whole number"),
    binary("cifar: a batch cut between images", ROWS_3[:-3073], "has 2 images, data_batch_1.bin 3"),
    binary(
        "cifar: a label without a class", b"\2" + ROWS_3[1:], "a label 2, but there are 2 classes"
    ),
    pickled(
        "cifar: a pickle that calls",
        batch(more=Call(os.system, "touch ran")),
        "asks for posix.system",
    ),
    pickled(
        "cifar: a pickle that evaluates", batch(more=Call(eval, "1")), "asks for __builtin__.eval"
    ),
    pickled(
        "cifar: class names that call",
        pickle.dumps(Call(os.abort)),
        "asks for posix.abort",
        "batches.meta",
    ),
    pickled(
        "cifar: class names that are none",
        pickle.dumps({"label_names": [1]}),
        "no names of classes",
        "batches.meta",
    ),
    pickled("cifar: a function of numpy's", batch(data=Call(np.fromfile, "x")), "asks for numpy"),
    pickled("cifar: an array of objects", batch(data=np.array([{}], object)), "not of numbers"),
    pickled(
        "cifar: an array of floats", batch(data=np.zeros((3, 3072))), "is no batch of cifar-10"
    ),
    pickled(
        "cifar: an array of another shape", batch(data=np.zeros((3, 99), np.uint8)), "is no batch"
    ),
    pickled("cifar: a scalar array", batch(data=np.array(3, np.uint8)), "is no batch"),
    pickled("cifar: fewer labels than images", batch(labels=[0, 1]), "lists of n integers"),
    pickled("cifar: labels of text", batch(labels=["a", "b", "c"]), "lists of n integers"),
    pickled("cifar: negative labels", batch(labels=[0, -1, 0]), "lists of n integers"),
    pickled("cifar: no labels", pickle.dumps({"data": 1}), "is no batch of cifar-10-batches-py"),
    pickled("cifar: a pickle of a list", pickle.dumps([1]), "holds no dictionary"),
    pickled("cifar: an object numbered 2^31", pickles.NUMBERED, "object 2147483647, and has made"),
    pickled("cifar: an empty pickle", b"", "is damaged or cut short"),
    pickled("cifar: text for a pickle", b"<html>", "is damaged or cut short"),
    *(
        pickled(
            f"cifar: a pickle cut at {p}", batch()[: int(p * len(batch()))], "is damaged or cut"
        )
        for p in (0.1, 0.5, 0.99)
    ),
    pickled(
        "cifar: a pickle of 10^15 bytes",
        b"\x80\4\x8e" + (10**15).to_bytes(8, "little"),
        "is damaged or cut",
    ),
]


def drawings(name, words, make, split="train"):
    """A row of Omniglot."""
    return Row(f"omniglot: {name}", words, make, f"data omniglot:omni --split={split}")


def removed(name):
    """Make what takes a folder away."""
    return lambda folder: shutil.rmtree(folder / "omni" / name)


GREEK, RUN = "images_background/Greek", "omni/all_runs/run01"
LINE = "run01/test/item0.png run01/training/class0.png"
ROWS += [
    Row("omniglot: no such folder", "repository 'omniglot'", read="data omniglot:gone"),
    Row(
        "omniglot: an empty folder",
        "has no alphabets",
        lambda f: (f / "e").mkdir(),
        "data omniglot:e",
    ),
    drawings("only one part", "are: test (4)", removed("images_background")),
    drawings(
        "an empty alphabet",
        "omni/images_background/A has no characters",
        lambda f: (f / "omni/images_background/A").mkdir(),
    ),
    drawings(
        "an empty character",
        "character09 has 0 drawing(s)",
        lambda f: (f / f"omni/{GREEK}/character09").mkdir(),
    ),
    drawings(
        "a character with one drawer",
        "character09 has 1 drawing(s)",
        place(f"omni/{GREEK}/character09/0009_01.png", PNG),
    ),
    drawings(
        "images of other names",
        "character09 has 0 drawing(s)",
        place(f"omni/{GREEK}/character09/a.png", PNG),
    ),
    drawings(
        "a drawing that is text",
        "cannot decode image",
        place(f"omni/{GREEK}/character01/0001_01.png", b"text"),
    ),
    drawings(
        "a drawing of another size",
        "64 pixels, not 105^2",
        place(f"omni/{GREEK}/character01/0001_01.png", PNG),
    ),
    drawings("a split that there is not", "are: train (9)", lambda f: None, "vinyals"),
    drawings("runs and others", "their labels differ", lambda f: None, "runs+train"),
    drawings("no runs", "Unknown split 'runs'", removed("all_runs"), "runs"),
    drawings(
        "an empty list of a run",
        "class_labels.txt is empty",
        place(f"{RUN}/class_labels.txt", b""),
        "runs",
    ),
    drawings(
        "a list that is no text", "it is no text", place(f"{RUN}/class_labels.txt", b"\xff"), "runs"
    ),
    drawings(
        "a list of three words a line",
        "line 1: wanted",
        place(f"{RUN}/class_labels.txt", f"{LINE} c"),
        "runs",
    ),
    drawings(
        "a list that names no image",
        "line 1: there is no",
        place(f"{RUN}/class_labels.txt", "a/b.png c/d.png"),
        "runs",
    ),
    drawings(
        "a run without examples", "line 1: there is no", removed("all_runs/run01/training"), "runs"
    ),
    drawings("hidden files", "9 examples", place(f"omni/{GREEK}/.x/y", b""))._replace(works=True),
]


def before(folder):
    """A small MNIST, Omniglot, and a small CIFAR-10 in both forms."""
    alphabets = {"images_background/Greek": (3, 3, 3), "images_evaluation/Keble": (2, 2)}
    omniglot(folder / "omni", alphabets, runs=1)
    mnist(folder / "mnist", GRAY, DIGITS)
    cifar10(folder / "bin", IMAGES, LABELS)
    cifar10_python(folder / "py", IMAGES, LABELS)


TABLE = Table("published sets", "data idx:mnist", ROWS, before)
