"""Paths as they are written; written files: whole or not at all, and readable as any other."""

import errno
import fcntl
import json
import os
import threading
from pathlib import Path

import pytest

from cnnlab.errors import UserError
from cnnlab.utils.files import (
    expand,
    is_locked,
    open_file,
    parse_json,
    read_file,
    read_json,
    read_tail,
    try_lock,
    write_json,
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("~/runs", "/home/me/runs"),
        ("$DATA/runs", "/big/runs"),
        ("${DATA}set/$N", "/bigset/3"),
        ("$HOME", "/home/me"),
        ("runs/a~b", "runs/a~b"),
        ("cost$/$", "cost$/$"),
        ("runs/a$1", "runs/a$1"),
        ("", ""),
    ],
)
def test_home_and_variables_are_replaced(monkeypatch, path, expected):
    for name, value in {"HOME": "/home/me", "DATA": "/big", "N": "3"}.items():
        monkeypatch.setenv(name, value)
    assert expand(path) == expected


@pytest.mark.parametrize("path", ["$CNNLAB_UNSET/a", "a/${CNNLAB_UNSET}"])
def test_a_variable_that_is_not_set_is_named(path):
    with pytest.raises(UserError, match=r"\$\{?CNNLAB_UNSET\}?, which is not set"):
        expand(path)


def test_the_home_of_a_user_that_there_is_not_is_refused():
    with pytest.raises(UserError, match="user who does not exist"):
        expand("~no_such_user_here/a")


def test_a_path_that_exists_as_it_is_written_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("~", "a$CNNLAB_UNSET"):
        (tmp_path / name).mkdir()
        assert expand(name) == name


@pytest.mark.parametrize(
    "path", ["gs://bucket/a", "s3://a", "hdfs://a", "https://a.b/c", "FILE:///a"]
)
def test_a_url_is_refused(path):
    with pytest.raises(UserError, match="is a URL"):
        expand(path)


PLACES = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
}


@pytest.mark.parametrize("mode", ["r", "rb", "r+b", "w", "a", "wb"])
@pytest.mark.parametrize("make", PLACES.values(), ids=PLACES)
def test_what_is_no_regular_file_is_not_opened(tmp_path, make, mode):
    make(tmp_path / "x")
    with pytest.raises(OSError, match=r"no regular|No such device|Is a directory"):
        open_file(tmp_path / "x", mode)


def test_a_file_is_opened_as_by_open(tmp_path):
    path = tmp_path / "x"
    for mode, text in (("w", "one\n"), ("a", "two\n")):
        with open_file(path, mode) as file:
            file.write(text)
    assert read_file(path) == b"one\ntwo\n"
    assert read_tail(path, 4) == "two\n"
    assert read_tail(path, start=6) == "o\n"
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "gone")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_json_that_cannot_be_read_now_is_not_to_be_removed(tmp_path, monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number), "x")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(UserError, match=r"x\.json cannot be read: .*; make it readable"):
        read_json(tmp_path / "x.json", remedy="remove it")


def test_json_larger_than_memory_is_damaged(tmp_path):
    path = tmp_path / "x.json"
    path.touch()
    os.truncate(path, 1 << 40)
    with pytest.raises(UserError, match="larger than 64 MiB"):
        read_json(path, remedy="remove it")


def test_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {("a",): 1})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_colleagues_may_read_what_they_may_read_of_other_files(tmp_path):
    write_json(tmp_path / "x.json", {})
    (tmp_path / "y").touch()
    assert (tmp_path / "x.json").stat().st_mode == (tmp_path / "y").stat().st_mode


FORM = {"name": str, "count?": int, "values": {str: (float, int)}, "rows": [{"step": int}]}
RIGHT = {"name": "a", "values": {"x": 1.5, "y": 2}, "rows": [{"step": 1, "more": "kept"}]}


def test_json_of_the_right_form_is_returned_as_it_is():
    assert parse_json(json.dumps(RIGHT), FORM, "file", "") == RIGHT


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({"name": 3}, "'name' is 3, not text"),
        ({"name": None}, "'name' is null, not text"),
        ({"count": True}, "'count' is true, not a whole number"),
        ({"values": {"x": "1"}}, "'values.x' is \"1\", not a number"),
        ({"values": []}, "'values' is [], not an object"),
        ({"rows": {}}, "'rows' is {}, not a list"),
        ({"rows": [{"step": 1}, {}]}, "'rows.1.step' is missing"),
    ],
)
def test_another_form_is_named(entries, fault):
    with pytest.raises(UserError) as error:
        parse_json(json.dumps({**RIGHT, **entries}), FORM, "x.json", "remove it")
    assert str(error.value) == f"x.json is damaged ({fault}): remove it"


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"null", b"[" * 100_000, b"1" * 5000, b"\0"])
def test_bytes_that_are_no_such_json_are_named(tmp_path, data):
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"x\.json is damaged \(.*\): remove it"):
        read_json(path, remedy="remove it")


def test_what_is_no_file_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").touch()
    for path in (tmp_path / "folder", tmp_path / "link", tmp_path / "file" / "x.json"):
        with pytest.raises(UserError, match="is damaged"):
            read_json(path, remedy="remove it")
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none", remedy="remove it")


def test_one_holds_it_until_the_file_is_closed(tmp_path):
    path = tmp_path / "lock"
    with path.open("w") as mine, path.open("w") as other:
        assert try_lock(mine)
        assert not try_lock(other)
        assert is_locked(path)
    assert not is_locked(path)


def test_who_looks_is_waited_for(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    looking = path.open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.05, looking.close).start()
    with path.open("w") as mine:
        assert try_lock(mine)


def test_what_is_not_there_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError):
        is_locked(tmp_path / "lock")
