"""Checkpoints lie where they are meant to, whatever letters the path has."""

import os
import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.training.checkpoint import Checkpoints
from cnnlab.training.checkpoint_files import as_literal, check_files, is_literal
from cnnlab.training.state import TrainState

ASCII = "".join(chr(n) for n in range(1, 128) if chr(n) != "/")
LITERAL = "".join(c for c in ASCII if is_literal(Path(f"/a{c}b")))
# TensorStore, Orbax and etils give these a meaning, each in its place.
NAMES = ("a\\b", "\\", "a\\", "gs:", "file:", "[ab]*", "%2F", "~", " a ", "...", "\u202e", "\udcff")


@pytest.mark.parametrize("names", [(LITERAL,), (ASCII,), (*NAMES, "..", "x")])
def test_what_is_saved_in_a_folder_of_any_name_is_read_from_there(tmp_path, names):
    folder = tmp_path.joinpath(*names)
    for path in folder.parents:
        path.mkdir(parents=True, exist_ok=True)
    rest = jnp.zeros(1)
    state = TrainState(jnp.asarray(3), {"a": jnp.arange(3.0)}, {}, rest, (), rest)
    checkpoints = Checkpoints(folder)
    checkpoints.save(state, {}, None)
    checkpoints.wait()
    checkpoints.verify(state)
    checkpoints.close()
    found = Checkpoints(folder, read_only=True)
    np.testing.assert_array_equal(found.read(3, "params")["params/a"], np.arange(3.0))
    found.close()
    assert [path.parent for path in tmp_path.rglob("_METADATA")] == [folder.resolve() / "3/state"]


@pytest.mark.parametrize("name", [*ASCII, *NAMES], ids=ascii)
def test_every_path_has_one_that_is_taken_literally(tmp_path, name):
    folder = tmp_path / f"{name}b"
    folder.mkdir(parents=True, exist_ok=True)
    path, opened = as_literal(folder)
    assert is_literal(path)
    assert path.samefile(folder)
    if opened is not None:
        os.close(opened)


def test_an_odd_folder_is_opened_and_leaves_nothing_behind(tmp_path, monkeypatch):
    folder, temporary = tmp_path / "[a]", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    checkpoints = Checkpoints(folder)
    assert not list(temporary.iterdir())
    opened = checkpoints._opened
    assert os.fstat(opened).st_ino == folder.stat().st_ino
    checkpoints.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened)


def test_a_folder_that_is_missing_has_no_checkpoints(tmp_path):
    checkpoints = Checkpoints(tmp_path / "\udcff[a]", read_only=True)
    assert checkpoints.steps() == []
    checkpoints.close()


def test_without_paths_through_open_files_an_odd_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "[a]").mkdir()
    monkeypatch.setattr(Path, "is_dir", lambda self: False)
    with pytest.raises(UserError, match="letters and digits"):
        as_literal(tmp_path / "[a]")


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: os.truncate(path, 1 << 40) if path.touch() is None else None,
    ],
)
def test_files_whose_reading_has_no_end_are_not_read(tmp_path, make):
    (tmp_path / "state").mkdir()
    (tmp_path / "state/d").touch()
    (tmp_path / "note").symlink_to("gone")
    check_files(tmp_path)
    make(tmp_path / "state/_METADATA")
    with pytest.raises(OSError, match="_METADATA"):
        check_files(tmp_path)
