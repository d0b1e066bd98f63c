"""Folders of classes with links, odd names and what is no folder."""

import os

from hostile.images import PNG, before
from hostile.row import Row, Table, link, place


def remove(*names):
    """Make what takes files away."""
    return lambda folder: [(folder / name).unlink() for name in names]


def files(*names):
    """Make what writes images."""
    return lambda folder: [place(name, PNG)(folder) for name in names]


def loops(folder):
    """Links to the class itself, to what is above it, and to each other."""
    link("set/cat/again", ".")(folder)
    link("set/cat/up", "..")(folder)
    link("set/dog/other", "../cat")(folder)


def odd(name, words, make, read=None):
    """A row of something that works."""
    return Row(name, words, make, read, works=True)


ROWS = [
    Row("no such folder", "there is no such folder", read="data folder:gone"),
    Row("no path", "names no path", read="data folder:"),
    Row("a file in its place", "no such folder", place("f", b""), "data folder:f"),
    Row("a pipe in its place", "no such folder", lambda f: os.mkfifo(f / "p"), "data folder:p"),
    Row("empty", "no folders in it", lambda f: (f / "e").mkdir(), "data folder:e"),
    Row("images without classes", "no folders in it", files("e/a.png"), "data folder:e"),
    Row("one class", "one class only, 'cat'", files("e/cat/a.png"), "data folder:e"),
    Row("no train", "needs a folder 'train'", files("e/val/a/a.png"), "data folder:e"),
    Row("a class without images", "has no images", lambda f: (f / "set/cow").mkdir()),
    Row("all images gone", "has no images", remove("set/cat/whole.png", "set/dog/whole.png")),
    Row(
        "two folders for a split",
        "keep one",
        files("e/train/a/a.png", "e/Train/b/b.png"),
        "data folder:e",
    ),
    Row(
        "a class that train has not",
        "'c' that train has not",
        files("e/train/a/a.png", "e/train/b/b.png", "e/val/c/c.png"),
        "data folder:e --split=validation",
    ),
    Row("a split that there is not", "are: train (2)", read="data folder:set --split=test"),
    Row("half a slice", "train[", read="data folder:set --split='train[:'"),
    Row("a slice of words", "train[", read="data folder:set --split='train[a:b]'"),
    Row("a slice beyond the end", "train[", read="data folder:set --split='train[5:]'"),
    Row("a slice to 10^30", "train[", read=f"data folder:set --split='train[:{10**30}]'"),
    Row("an empty split", "''", read="data folder:set --split=''"),
    Row("name of 300 characters", "name or path is too long", read=f"data folder:{'a' * 300}"),
    Row("path of 6,000 characters", "name or path is too long", read=f"data folder:{'a/' * 3000}"),
    Row("a variable that is not set", "which is not set", read="data 'folder:$NOT_SET_1/a'"),
    Row("the home of nobody", "a user who does not exist", read="data folder:~nobody-1/a"),
    odd("links in circles", "2 examples", loops),
    odd("a link to /proc", "2 examples", link("set/cat/proc", "/proc/self")),
    odd("a link to the root", "2 examples", link("set/cat/root", "/")),
    odd("a class that is a link to nothing", "2 examples", link("set/cow", "gone")),
    odd("a class that is a link to itself", "2 examples", link("set/cow", "cow")),
    odd("hidden files", "2 examples", files("set/cat/.x.png", "set/.git/x.png")),
    odd("other files", "2 examples", files("set/cat/notes.txt", "set/readme")),
    odd("deep folders", "3 examples", files(f"set/cat/{'d/' * 200}x.png")),
    odd("a class name that is no UTF-8", "d\\xff", files(os.fsdecode(b"set/d\xff/x.png"))),
    odd("a class called [red]", "[red]", files("set/[red]/x.png")),
    odd("a class called [ and one ]", "[, ]", files("set/[/x.png", "set/]/x.png")),
    odd("a class with a line break", "3 classes", files("set/a\nb/x.png")),
    odd("a class with math in it", "$a_b^{", files("set/$a_b^{/x.png")),
    odd("a class called -", "3 classes", files("set/-/x.png")),
    odd("a class called ..a", "2 classes", files("set/..a/x.png")),
    odd("a class of 255 letters", "3 classes", files(f"set/{'k' * 255}/x.png")),
    odd(
        "brackets in the path",
        "2 examples",
        files("[a]*/a/a.png", "[a]*/b/b.png"),
        "data 'folder:[a]*'",
    ),
]


def pattern(name, words, path, split="train", *, works=False):
    """A row of a set whose classes stand in the names of files."""
    make = files(*(f"faces/{who}_{i}.png" for who in ("ann", "bo") for i in (1, 2, 3)))
    return Row(name, words, make, ["data", f"folder:{path}", f"--split={split}"], works)


FACES = "faces/{label}_{image}.png"
NUMBERED = "faces/{label}_{number}.png"
ROWS += [
    pattern("a pattern without a class", "name the class {label}", "faces/{who}_{number}.png"),
    pattern("a pattern of no file", "no file in faces matches", "faces/{label}-{number}.png"),
    pattern("a pattern in no folder", "there is no folder gone", "gone/{label}.png"),
    pattern("a pattern of one class", "has one class only, 'an'", "faces/{label}n_{number}.png"),
    pattern("two fields together", "a character between them", "faces/{label}{number}.png"),
    pattern(
        "a pattern of folders that are files", "no file in faces", "faces/{label}/{number}.png"
    ),
    pattern(
        "a condition on no field", "no field 'numbre'; did you mean 'number'", NUMBERED, "numbre<2"
    ),
    pattern("a condition on nothing", "cannot read", NUMBERED, "number<"),
    pattern("a condition that is code", "no field '__import__'", NUMBERED, "__import__==os"),
    pattern("a condition of words", "which are numbers from 1 to 3", NUMBERED, "number<two"),
    pattern("a condition on order of names", "compares names", NUMBERED, "label<bo"),
    pattern("a condition that none fulfils", "there is no such file", NUMBERED, "number>3"),
    pattern("a fold that is missing", "there is no such file", NUMBERED, "number==9"),
    pattern("a split that a pattern has not", "are: train (6)", NUMBERED, "test"),
    pattern("half a slice of a condition", "cannot read split", NUMBERED, "number<3[:"),
    pattern("a condition of 10^6 digits", "'111", NUMBERED, f"number=={'1' * 10**6}"),
    pattern("20 conditions", "6 examples", NUMBERED, "&".join(["number<9"] * 20), works=True),
    pattern("a pattern with regular expressions", "no file in", "faces/{label}(.*)+[a-z]_{n}.png"),
    pattern("a field that is a number", "letters, digits after", "faces/{label}_{1}.png"),
    pattern("a field that is a power", "letters, digits after", "faces/{label}_{n²}.png"),
    pattern("a pattern of 50 stars", "no file in faces", f"faces/{{label}}{'*n' * 50}.png"),
    pattern("stars side by side", "6 examples", "faces/**{label}*_*{number}.*", works=True),
    pattern("a pattern with a field twice", "no file in faces", "faces/{label}_{label}.png"),
    pattern("a pattern with a variable", "which is not set", "${NOT_SET_1}/{label}_{number}.png"),
    pattern("a field called image", "6 examples", FACES, works=True),
    pattern(
        "conditions and slices", "3 examples", NUMBERED, "number<3[:50%]+number==2[:1]", works=True
    ),
]
TABLE = Table("folders", "data folder:set", ROWS, before)
