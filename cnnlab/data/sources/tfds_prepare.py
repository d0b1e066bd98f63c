"""Prepare a TFDS data set once, so that runs only read it: `python launch.py data prepare mnist`.

Embedded sets are built in place, standard ones are downloaded and rewritten as array_record by
TensorFlow Datasets, which needs TensorFlow for this (requirements-data.txt), but not for reading.

A set is made in a folder of its own beside the others and then renamed, under a file lock: two
processes may ask for it at once, and one killed on the way leaves only that folder, which the
next removes.
"""

import contextlib
import errno
import importlib.util
import io
import os
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cnnlab.data.builders import EMBEDDED, builder_class
from cnnlab.data.sources.info import data_folder, path_of
from cnnlab.errors import UserError
from cnnlab.utils.files import lock

LOOK_SECONDS = 5.0


def prepare(name: str, data_dir: str = "") -> Path:
    """Prepare a set unless it is, and return the folder that holds it.

    Args:
        name: an embedded set, or one of TFDS, with its config if it has several
            (`imagenette/320px-v2`).
        data_dir: where to; see `cnnlab.data.sources.info.data_folder`.

    Raises:
        UserError: if the set is unknown, if TensorFlow or the network is missing, if files have
            to be fetched by hand first, if the folder cannot be written to or the disk is full.
    """
    folder = Path(data_folder(data_dir))
    if name in EMBEDDED:
        return _embedded(name, folder)
    if path_of(name)[0]:
        raise UserError(f"'{name}' needs no preparing: it is read as it is")
    return _standard(name, folder)


def _embedded(name: str, folder: Path) -> Path:
    place = folder / name / str(builder_class(name).VERSION)
    if place.exists():
        return place
    with _writable(name, folder), lock(folder / f".{name}.lock"):
        if place.exists():  # made by another process while this one waited
            return place
        partial = folder / f".{name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                builder = builder_class(name)(data_dir=partial, file_format="array_record")
                _download_and_prepare(builder, partial)
            place.parent.mkdir(exist_ok=True)
            (partial / name / place.name).rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return place


def _standard(name: str, folder: Path) -> Path:
    import tensorflow_datasets as tfds

    from cnnlab.data.sources.tfds import TFDSSource, find, is_known, unknown

    if not is_known(name):
        raise unknown(name)
    try:
        place = find(name, str(folder))
    except UserError:
        pass  # not prepared: so be it
    else:
        TFDSSource(place, "all", name=name)  # is it whole, and in the right format?
        return place
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            f"preparing '{name}' needs TensorFlow (reading it will not): "
            "pip install -r requirements-data.txt"
        )
    builder = tfds.builder(name, data_dir=folder, file_format="array_record")
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:
        _look_for_files(name, builder, folder)
    else:
        _look_for_network(name, builder)
    with _writable(name, folder), lock(folder / f".{name.replace('/', '-')}.lock"):
        try:
            _download_and_prepare(builder, folder / "downloads")
        except AssertionError as error:  # the library's word for missing manual downloads
            raise _fetch_by_hand(name, builder, folder) from error
    place = Path(builder.data_dir)
    TFDSSource(place, "all", name=name)
    return place


def _download_and_prepare(builder: Any, downloads: Path) -> None:
    import tensorflow_datasets as tfds

    # Google's bucket holds ready-made sets, but none as array_record; asking costs a connection.
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    builder.download_and_prepare(
        download_dir=downloads, download_config=config, file_format="array_record"
    )


def _look_for_files(name: str, builder: Any, folder: Path) -> None:
    manual = folder / "downloads" / "manual"
    if not (manual.is_dir() and any(manual.iterdir())):
        raise _fetch_by_hand(name, builder, folder)


def _fetch_by_hand(name: str, builder: Any, folder: Path) -> UserError:
    instructions = " ".join((builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "").split())
    return UserError(
        f"'{name}' has to be downloaded by hand (its license wants so): put the files into "
        f"{folder / 'downloads' / 'manual'} and run this again. TFDS says: {instructions}"
    )


def _look_for_network(name: str, builder: Any) -> None:
    """Raise at once where the library would try again and again for 200 s."""
    hosts = list(dict.fromkeys(urllib.parse.urlsplit(url)[:2] for url in builder.url_infos or ()))
    failures = []
    for scheme, host in hosts[:2]:
        request = urllib.request.Request(f"{scheme}://{host}/", method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=LOOK_SECONDS).close()
        except urllib.error.HTTPError:
            return  # it answers, that will do
        except (OSError, ValueError) as error:
            failures.append(f"{host} ({getattr(error, 'reason', error)})")
        else:
            return
    if failures:
        raise UserError(
            f"cannot download '{name}': no connection to {', '.join(failures)}; prepare it where "
            "there is a network and copy the folder, or set HTTPS_PROXY if there is a proxy"
        )


@contextlib.contextmanager
def _writable(name: str, folder: Path) -> Iterator[None]:
    """Make the folder, and turn what goes wrong in writing into one clear line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        yield
    except ConnectionError as error:
        raise UserError(f"the download of '{name}' broke off: {error}") from error
    except (OSError, RuntimeError) as error:
        full = os.strerror(errno.ENOSPC)
        if isinstance(error, OSError):
            why = os.strerror(error.errno) if error.errno else str(error)
        elif full in str(error):  # array_record's writer has no errno to give
            why = full
        else:
            raise
        raise UserError(
            f"cannot prepare '{name}' in {folder}: {why}; name a folder with room for it that you "
            "may write to: CNNLAB_DATA=/path or --config.data.data_dir=/path"
        ) from error
