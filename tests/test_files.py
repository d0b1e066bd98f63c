"""Paths as they are written; written files: whole or not at all, and readable as any other."""

import json

import pytest

from cnnlab.errors import UserError
from cnnlab.files import expand, write_json


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
    with pytest.raises(UserError, match="user that there is not"):
        expand("~no_such_user_here/a")


def test_a_path_that_exists_as_it_is_written_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("~", "a$CNNLAB_UNSET"):
        (tmp_path / name).mkdir()
        assert expand(name) == name


def test_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_colleagues_may_read_what_they_may_read_of_other_files(tmp_path):
    write_json(tmp_path / "x.json", {})
    (tmp_path / "y").touch()
    assert (tmp_path / "x.json").stat().st_mode == (tmp_path / "y").stat().st_mode
