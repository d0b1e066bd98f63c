"""The two forms of PyTorch's files, written by PyTorch 2.13 (`*.pth` beside this), and bad ones."""

import io
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hostile.pickles import Built, Call, Global, Stored, legacy, pickled, tensor, zipped

from cnnlab.errors import UserError
from cnnlab.pretrained import torch_file

HERE = Path(__file__).parent
FORMS = ("zipped", "legacy")
GRID = np.arange(12.0, dtype=np.float32).reshape(3, 4)
# What was saved; view, part and float32 share their memory.
SAVED = {
    "float32": GRID,
    "view": GRID.T,
    "part": GRID.ravel()[5:9],
    "float64": np.array([0.5, -2.0]),
    "half": np.array([1.5, -0.25], np.float16),
    "bfloat16": np.array([3.0, -0.5]),
    "int64": np.array(7),
    "uint8": np.array([1, 255], np.uint8),
    "bool": np.array([True, False]),
    "parameter": np.array([2.0], np.float32),
    "empty": np.zeros((0, 3), np.float32),
}


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


def read(tmp_path, content):
    (tmp_path / "file.pth").write_bytes(content)
    return torch_file.read(tmp_path / "file.pth")


def test_every_dtype_and_view_is_read_as_saved(form):
    content = torch_file.read(HERE / f"{form}.pth")
    assert content["epoch"] == 3
    assert list(content["state_dict"]) == list(SAVED)
    for name, expected in SAVED.items():
        found = content["state_dict"][name]
        np.testing.assert_array_equal(found.astype(expected.dtype), expected)
        assert found.dtype == expected.dtype or (name, found.dtype.name) == ("bfloat16",) * 2
        assert found.shape == expected.shape


def test_no_torch_is_needed(form, monkeypatch):
    # An import of it now raises.
    monkeypatch.setitem(sys.modules, "torch", None)
    assert torch_file.read(HERE / f"{form}.pth")["epoch"] == 3


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("builtins", "eval"), ("torch", "load")]
)
def test_a_call_in_a_pickle_is_refused_and_not_made(form, module, name, tmp_path):
    victim = tmp_path / "victim"
    call = pickled({"weight": Call(Global(module, name), f"touch {victim}")})
    with pytest.raises(UserError, match=rf"holds {module}\.{name}, and only weights are read"):
        read(tmp_path, zipped(call) if form == "zipped" else legacy(call))
    assert not victim.exists()


TRAINING = {
    "state_dict": {"weight": tensor(Stored(1), 0, (1,), (1,))},
    "args": Built(Global("argparse", "Namespace")),
    "callback": Call(Global("builtins", "getattr"), Global("os", "system"), "__call__"),
    "class": Global("mine", "Model"),
    "called": Call(Call(Global("functools", "partial"), Global("os", "system")), "exit 1"),
    "unknown": tensor(Call(Global("torch", "QInt8Storage")), 0, (1,), (1,)),
    "attributes": Call(
        Global("torch._tensor", "_rebuild_from_type_v2"),
        Global("torch._utils", "_rebuild_tensor_v2"),
        Global("mine", "Tensor"),
        (Stored(1), 0, (1,), (1,)),
        {"tag": 1},
    ),
    "foreign_maker": Call(
        Global("torch._tensor", "_rebuild_from_type_v2"), Global("os", "system"), 0, ("exit 1",)
    ),
    "optimizer": {"state": {0: {"momentum": tensor(Stored(1, "none"), 0, (1,), (1,))}}},
}


def test_what_trainers_save_beside_the_weights_is_read_as_nothing(form, tmp_path, monkeypatch):
    import argparse
    import os

    for module, name in ((os, "system"), (argparse, "Namespace")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("was called"))
    content, data = pickled(TRAINING), np.ones(1, "<f4").tobytes()
    if form == "zipped":
        # An optimizer's numbers are not read at all: there are none under "none".
        found = read(tmp_path, zipped(content, {"0": data}))
    else:
        found = read(tmp_path, legacy(content, ["0"], struct.pack("<q", 1) + data))
    for array in (found["state_dict"]["weight"], found["attributes"]):
        np.testing.assert_array_equal(array, [1])
    others = set(TRAINING) - {"state_dict", "attributes", "optimizer"}
    assert all(isinstance(found[key], torch_file.Foreign | type) for key in others)


def test_one_object_referred_to_many_times_is_read_once(tmp_path):
    part = [tensor(Stored(1), 0, (1,), (1,))]
    for _ in range(100):
        part = [part, part]
    found = read(tmp_path, zipped(pickled(part), {"0": bytes(4)}))
    assert found[0] is found[1]


def test_a_small_file_does_not_unfold_to_a_large_one(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickled({"a": tensor(Stored(8), 0, (8,), (1,))}))
        archive.writestr("archive/data/0", bytes(10**6))
    with pytest.raises(UserError, match="1000000 bytes for 8 numbers"):
        read(tmp_path, buffer.getvalue())


def test_a_call_in_place_of_the_magic_number_is_refused_too(tmp_path):
    victim = tmp_path / "victim"
    with pytest.raises(UserError, match=r"holds os\.system"):
        read(tmp_path, pickled(Call(Global("os", "system"), f"touch {victim}")))
    assert not victim.exists()


def test_a_name_that_only_ends_like_a_known_one_is_refused(tmp_path):
    for module, name in (("collections", "OrderedDict.fromkeys"), ("torch._utils", "__dict__")):
        with pytest.raises(UserError, match="only weights are read"):
            read(tmp_path, zipped(pickled(Global(module, name))))


@pytest.mark.parametrize(
    "known",
    [
        Global("torch._utils", "_rebuild_tensor_v2"),
        Global("collections", "OrderedDict"),
        Global("torch", "FloatStorage"),
        Stored(1),
        tensor(Stored(1), 0, (1,), (1,)),
    ],
)
def test_a_pickle_cannot_change_what_it_reaches(known, tmp_path):
    # BUILD sets attributes, or calls __setstate__.
    change = pickled(known)[:-1] + pickle.dumps({"shape": (9,)}, 2)[2:-1] + b"b."
    with pytest.raises(UserError, match="damaged"):
        read(tmp_path, zipped(change, {"0": bytes(4)}))


def test_a_whole_module_is_refused_with_the_way_out(form, tmp_path):
    module = pickled(Call(Global("torch.nn.modules.linear", "Linear"), 2, 2))
    with pytest.raises(UserError, match=r"torch\.save\(model\.state_dict\(\), path\)"):
        read(tmp_path, zipped(module) if form == "zipped" else legacy(module))


@pytest.mark.parametrize(
    "view",
    [
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (0, (2, 2), (1, 3)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (100, 4), (0, 1)),
        (0, (2,), (1, 1)),
        (0.0, (2,), (1,)),
    ],
)
def test_a_tensor_that_leaves_its_numbers_is_refused(view, tmp_path):
    four = pickled({"weight": tensor(Stored(4), *view)})
    with pytest.raises(UserError, match="damaged or cut short"):
        read(tmp_path, zipped(four, {"0": bytes(16)}))


def test_fewer_bytes_than_numbers_are_refused(form, tmp_path):
    four = pickled({"weight": tensor(Stored(4), 0, (4,), (1,))})
    content = struct.pack("<q", 4) + bytes(12)
    file = zipped(four, {"0": bytes(12)}) if form == "zipped" else legacy(four, ["0"], content)
    with pytest.raises(UserError, match="damaged or cut short"):
        read(tmp_path, file)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_a_file_cut_short_is_refused(form, share, tmp_path):
    whole = (HERE / f"{form}.pth").read_bytes()
    with pytest.raises(UserError, match="damaged or cut short"):
        read(tmp_path, whole[: int(share * len(whole))])


def test_the_older_forms_views_of_a_storage_are_read(tmp_path):
    part = Stored(6, view=[("part", 2, 3)])
    values = np.arange(6, dtype="<f4")
    file = legacy(
        pickled({"weight": tensor(part, 1, (2,), (1,)), "list": [tensor(part, 0, (3,), (1,))]}),
        ["0"],
        struct.pack("<q", 6) + values.tobytes(),
    )
    content = read(tmp_path, file)
    np.testing.assert_array_equal(content["weight"], [3, 4])
    np.testing.assert_array_equal(content["list"][0], [2, 3, 4])


def test_other_archives_and_pickles_are_distinguished(tmp_path):
    empty = pickled({})
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(2))
    for file, message in (
        (buffer.getvalue(), r"without data\.pkl"),
        (zipped(empty, **{"constants.pkl": b""}), "TorchScript"),
        (zipped(empty, byteorder=b"big"), "big-endian"),
        (legacy(empty, little_endian=False), "big-endian"),
        (pickle.dumps({"a": 1}), "is a pickle, but not a checkpoint"),
        (zipped(pickled(Stored(1, kind="module"))), "damaged"),
        (zipped(pickled(tensor("no storage", 0, (), ()))), "damaged"),
        (b"\x80\x02nonsense", "damaged"),
    ):
        with pytest.raises(UserError, match=message):
            read(tmp_path, file)
    assert read(tmp_path, zipped(empty, byteorder=b"little")) == {}
