"""Files recognized by their content, and arrays by name out of what they lie in."""

import pickle
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from cnnlab.errors import UserError
from cnnlab.pretrained.checkpoint_file import read_checkpoint, read_metadata

HERE = Path(__file__).parent


@pytest.mark.parametrize("form", ["zipped", "legacy"])
def test_arrays_are_named_by_the_dicts_they_lie_in_and_floats_are_float32(form):
    checkpoint = read_checkpoint(HERE / f"{form}.pth")
    assert checkpoint.metadata == {}
    arrays = {n.removeprefix("state_dict."): x for n, x in checkpoint.arrays.items()}
    assert not set(arrays) & set(checkpoint.arrays)
    dtypes = {name: array.dtype.name for name, array in arrays.items()}
    kept = {"int64": "int64", "uint8": "uint8", "bool": "bool"}
    assert dtypes == {name: kept.get(name, "float32") for name in dtypes}
    np.testing.assert_array_equal(arrays["bfloat16"], [3.0, -0.5])
    np.testing.assert_array_equal(arrays["float64"], [0.5, -2.0])


def test_safetensors_are_recognized_by_their_content_and_their_floats_are_float32(tmp_path):
    values = np.array([1.5, -0.25])
    dtypes = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)
    arrays = {np.dtype(d).name: values.astype(d) for d in dtypes} | {"count": np.array(3)}
    path = tmp_path / "weights.pth"
    safetensors.numpy.save_file(arrays, path, {"model": "x"})
    checkpoint = read_checkpoint(path)
    assert checkpoint.metadata == read_metadata(path) == {"model": "x"}
    assert checkpoint.arrays["count"].dtype == np.int64
    for dtype in dtypes:
        found = checkpoint.arrays[np.dtype(dtype).name]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, values)


def test_wrappers_of_modules_are_removed_anywhere(tmp_path):
    path = tmp_path / "file"
    one = np.zeros(1, np.float32)
    names = ("module._orig_mod.a", "b._fsdp_wrapped_module.c._checkpoint_wrapped_module.d")
    safetensors.numpy.save_file(dict.fromkeys(names, one), path)
    assert set(read_checkpoint(path).arrays) == {"module.a", "b.c.d"}
    assert read_metadata(path) == {}


def wrong(content, path):
    if content is not None:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "begins with b'version https"),
        ((10).to_bytes(8, "little") + b"{not json}", "damaged or cut short"),
        ((10**6).to_bytes(8, "little") + b"{}", "damaged or cut short"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(content, message, tmp_path):
    path = wrong(content, tmp_path / "file.pth")
    with pytest.raises(UserError, match=message) as error:
        read_checkpoint(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds an object of type list, not a state dict of arrays by name"),
        ({}, "holds nothing, not a state dict"),
        ({"state_dict": {}}, "holds only 'state_dict', not a state dict"),
        ({"epoch": 3, "args": None}, "holds only 'epoch', 'args', not a state dict"),
    ],
)
def test_what_is_no_state_dict_is_refused(content, message, tmp_path):
    path = tmp_path / "file.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))
    with pytest.raises(UserError, match=message):
        read_checkpoint(path)


def test_a_folder_is_refused(tmp_path):
    for read in (read_checkpoint, read_metadata):
        with pytest.raises(UserError, match="is a folder, not a file"):
            read(tmp_path)


def test_a_safetensors_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "file"
    safetensors.numpy.save_file({"a": np.zeros(100, np.float32)}, path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="damaged or cut short"):
        read_checkpoint(path)
    path.write_bytes((10).to_bytes(8, "little") + b"{not json}")
    with pytest.raises(UserError, match=r"damaged .* get it again"):
        read_metadata(path)


def test_other_files_have_no_metadata(tmp_path):
    assert read_metadata(HERE / "zipped.pth") == {}
    path = tmp_path / "file"
    path.write_bytes((10**6).to_bytes(8, "little") + b"{}")
    assert read_metadata(path) == {}
