"""Objects by `package.module:Name`, and what is said where there is none."""

import sys
from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.utils import import_path

TABLE = {"three": 3}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a package of two modules, one of which fails."""
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "numbers.py").write_text("four = 4\nword = 'w'\n_hidden = 5\n")
    (package / "things.py").write_text("def first(): ...\nclass Second: ...\nraise SystemExit\n")
    (package / "broken.py").write_text("x = 1\ny = x.z\n")
    (package / "needy.py").write_text("import no_such_library\n")
    # Other tests leave folders with a file of this name on the path.
    others = [path for path in sys.path if not Path(path, "mine.py").exists()]
    monkeypatch.setattr(sys, "path", others)
    import_path.search(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


def pick(name):
    return import_path.pick(TABLE, name, "number", lambda x: isinstance(x, int), "whole number")


def test_a_name_is_of_the_table_and_a_place_is_imported(place):
    assert (pick("three"), pick("mine.numbers:four")) == (3, 4)
    assert import_path.roots(["three", "mine.numbers:four", 5]) == {"mine.numbers:four": str(place)}


@pytest.mark.parametrize(
    ("message", "name"),
    {
        "unknown number 'thre'; did you mean 'three'": "thre",
        "has no 'fuor'; did you mean 'four'": "mine.numbers:fuor",
        "word' is no whole number, but a str 'w'; did you mean 'four'": "mine.numbers:word",
        "no module 'mine.thinks' in .*; did you mean 'mine.things:Second'": "mine.thinks:Second",
        "no module 'mime' in .*; did you mean 'mine.things:first'": "mime.things:frist",
        "no module 'mine.nunbers' in [^;]*$": "mine.nunbers:four",
        "unknown number 'mine.things'; did you mean 'mine.things:first'": "mine.things",
        "unknown number 'mine.numbers'; did you mean 'mine.numbers:four'": "mine.numbers",
        "unknown number 'mine.zzz'; one's own is package.module:Name": "mine.zzz",
        "number ':four': write package.module:Name": ":four",
        "write package.module:Name": "mine.numbers:",
        "no module 'mine.numbers.x' in numbers, which is no package": "mine.numbers.x:four",
        "broken.py, line 2: AttributeError": "mine.broken:x",
        "needy.py, line 1: ModuleNotFoundError: .*no_such_library": "mine.needy:x",
        "no module's name; write 'mine.things:Second'": "mine/things.py:Second",
        "no module's name; write 'package.module:Name'": "mine/nothing.py:four",
    }.items(),
)
def test_what_cannot_be_imported_is_named_with_the_nearest_that_can(message, name, place):
    with pytest.raises(UserError, match=message):
        pick(name)


def test_a_package_that_is_the_folder_itself_is_found_from_the_folder_above(place, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(place / "mine")])
    with pytest.raises(
        UserError, match=r"no module 'mine' in .*; start in the folder above .*mine"
    ):
        pick("mine.numbers:four")


def test_the_line_of_ones_own_code_that_failed_is_named(place):
    (place / "mine" / "fails.py").write_text("def five():\n    return int('five')\n")
    found = import_path.load("mine.fails:five", "number", callable, "function")
    with pytest.raises(ValueError, match="five") as raised:
        found()
    assert import_path.line_of(raised.value) == f" ({place / 'mine' / 'fails.py'}, line 2, in five)"
    assert import_path.line_of(ZeroDivisionError()) == ""


def test_a_folder_of_modules_that_is_gone_is_named_with_what_to_do(place, monkeypatch):
    moved = place / "before"
    monkeypatch.setattr(sys, "path", [*sys.path, str(moved)])
    with pytest.raises(UserError, match=rf"'other'.*{moved} is gone: start in the folder"):
        pick("other.numbers:four")
