import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from cnnlab.data.builders import digits
from cnnlab.data.sources import tfds_prepare as preparing
from cnnlab.data.sources.source import load
from cnnlab.data.sources.tfds_prepare import prepare
from cnnlab.errors import UserError

ROOT = Path(__file__).parents[3]


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def spawn(code):
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


def test_an_embedded_set_is_built_once_and_quietly(tmp_path, capfd):
    place = prepare("digits", str(tmp_path))
    assert place == tmp_path / "digits" / "1.0.0"
    before = {file: file.stat().st_mtime_ns for file in place.iterdir()}
    assert prepare("digits", str(tmp_path)) == place
    assert {file: file.stat().st_mtime_ns for file in place.iterdir()} == before
    assert names(tmp_path) == [".digits.lock", "digits"]
    out, err = capfd.readouterr()
    assert out + err == ""


@pytest.mark.slow
def test_two_processes_may_ask_at_once(tmp_path):
    call = f"load('digits', 'test', data_dir={str(tmp_path)!r})"
    code = f"from cnnlab.data.sources.source import load; print(len({call}))"
    children = [spawn(code) for _ in range(2)]
    assert [child.communicate(timeout=600)[0] for child in children] == ["360\n", "360\n"]
    assert names(tmp_path) == [".digits.lock", "digits"]


def test_after_a_kill_on_the_way_the_next_one_starts_afresh(tmp_path):
    child = spawn(
        f"""
import os, time
from cnnlab.data.builders.digits import Digits
from cnnlab.data.sources.tfds_prepare import prepare
generate = Digits._generate_examples
def slow(self, *ends):
    for i, example in enumerate(generate(self, *ends)):
        if i == 100:
            open({str(tmp_path / "half")!r}, "w").close()
            time.sleep(600)
        yield example
Digits._generate_examples = slow
prepare("digits", {str(tmp_path)!r})
"""
    )
    while not (tmp_path / "half").exists():
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=600)
    assert (tmp_path / ".digits.partial").exists()
    assert not (tmp_path / "digits").exists()
    assert len(load("digits", "train", data_dir=str(tmp_path))) == 1200
    assert names(tmp_path) == [".digits.lock", "digits", "half"]


# The second is how array_record's writer puts it, seen on a small tmpfs.
FULL = [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    RuntimeError(
        'Failed to finalize writing of split "train": write() failed: No space left on device'
    ),
]


@pytest.mark.parametrize("error", FULL)
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path, monkeypatch, error):
    def full(self, start, stop):
        yield from ()
        raise error

    monkeypatch.setattr(digits.Digits, "_generate_examples", full)
    with pytest.raises(UserError, match=f"{tmp_path}: No space left on device; .*CNNLAB_DATA"):
        prepare("digits", str(tmp_path))
    assert names(tmp_path) == [".digits.lock"]


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"Not a directory.*--config\.data\.data_dir"):
        load("digits", "train", data_dir=str(tmp_path / "file" / "data"))


def test_a_fault_of_the_program_keeps_its_traceback(tmp_path, monkeypatch):
    def wrong(self, start, stop):
        yield from ()
        raise RuntimeError("a bug")

    monkeypatch.setattr(digits.Digits, "_generate_examples", wrong)
    with pytest.raises(RuntimeError, match="a bug"):
        prepare("digits", str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_read_only_is_one_clear_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"Permission denied.*CNNLAB_DATA"):
        load("digits", "train", data_dir=str(tmp_path))


def test_files_of_ones_own_need_no_preparing(tmp_path):
    with pytest.raises(UserError, match="needs no preparing"):
        prepare(f"folder:{tmp_path}")


def test_an_unknown_name_is_suggested(tmp_path):
    with pytest.raises(UserError, match="did you mean 'mnist'"):
        prepare("minst", str(tmp_path))


def test_without_tensorflow_the_extra_to_install_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(preparing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -r requirements-data\.txt"):
        prepare("mnist", str(tmp_path))


class Fake:
    """What `prepare` asks of a builder."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = None
    url_infos = None

    def __init__(self, folder, **attributes):
        self.data_dir = str(folder / "mnist" / "3.0.1")
        self.prepared = 0
        self.__dict__.update(attributes)

    def download_and_prepare(self, **options):
        assert options["file_format"] == "array_record"
        self.prepared += 1


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Put a fake in the place of TFDS's builder, with TensorFlow at hand."""

    def use(**attributes):
        fake = Fake(tmp_path, **attributes)
        monkeypatch.setattr(
            preparing.importlib.util, "find_spec", lambda name: types.SimpleNamespace()
        )
        monkeypatch.setattr(tfds, "builder", lambda name, **options: fake)
        monkeypatch.setattr(preparing, "LOOK_SECONDS", 2.0)
        for variable in (
            "http_proxy",
            "https_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "all_proxy",
            "ALL_PROXY",
        ):
            monkeypatch.delenv(variable, raising=False)
        return fake

    return use


def test_without_a_network_nothing_is_tried(tmp_path, use):
    with socket.socket() as closed:  # bound, but nobody listens
        closed.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{closed.getsockname()[1]}"
        fake = use(url_infos={f"http://{host}/train.gz": None, f"http://{host}/test.gz": None})
        with pytest.raises(UserError, match=rf"cannot download 'mnist': no connection to {host}"):
            prepare("mnist", str(tmp_path))
    assert fake.prepared == 0


def test_a_host_that_answers_anything_will_do(tmp_path, use):
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        port = server.stdout.readline().split("port ")[1].split()[0]
        fake = use(url_infos={f"http://127.0.0.1:{port}/train.gz": None})
        with contextlib.suppress(UserError):  # the fake writes no files to read afterwards
            prepare("mnist", str(tmp_path))
    finally:
        server.terminate()
        server.communicate()
    assert fake.prepared == 1


def test_files_to_fetch_by_hand_are_named_with_the_place_for_them(tmp_path, use):
    fake = use(MANUAL_DOWNLOAD_INSTRUCTIONS="Get train.tar\n  and val.tar.")
    manual = tmp_path / "downloads" / "manual"
    message = f"by hand.*{manual} .*Get train.tar and val.tar"
    with pytest.raises(UserError, match=message):
        prepare("mnist", str(tmp_path))
    assert fake.prepared == 0

    def missing(**options):
        raise AssertionError("Manual directory /x does not exist")

    fake.download_and_prepare = missing
    manual.mkdir(parents=True)
    (manual / "train.tar").write_text("")
    with pytest.raises(UserError, match=message):
        prepare("mnist", str(tmp_path))


def test_a_download_that_breaks_off_is_one_clear_line(tmp_path, use):
    def broken(**options):
        raise ConnectionError("reset by peer")

    use(download_and_prepare=broken)
    with pytest.raises(UserError, match="download of 'mnist' broke off: reset by peer"):
        prepare("mnist", str(tmp_path))
