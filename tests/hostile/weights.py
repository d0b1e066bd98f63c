"""Files of weights that would run something, unfold, lie about themselves, or are no weights."""

import io
import json
import pickle
import zipfile

import numpy as np
import safetensors.numpy
from hostile.pickles import NUMBERED, Call, Global, Stored, legacy, pickled, tensor, zipped
from hostile.row import Row, Table, place

from cnnlab.errors import UserError
from cnnlab.pretrained import reading
from cnnlab.pretrained.checkpoint_file import read_checkpoint, read_metadata

FOUR = np.arange(4.0, dtype=np.float32).tobytes()
DAMAGED, ONLY = "is damaged", "only weights are read"


def read(folder):
    """Read the file; nothing of what it says may have run."""
    try:
        read_metadata(folder / "it")
        return sorted(read_checkpoint(folder / "it").arrays)
    finally:
        assert {path.name for path in folder.iterdir()} <= {"it"}


def fit(folder):
    """Read the file as the weights of a model; the list of what does not fit has lines."""
    try:
        return reading.load("mlp", folder / "it", num_classes=2, hidden=(3,))
    except UserError as error:
        raise UserError(str(error).partition("\n")[0]) from error


def calls(module, name, *arguments):
    """A pickle that calls a function."""
    return pickled({"w": Call(Global(module, name), *arguments)})


def of(count, shape, stride, offset=0, **storage):
    """A .pth with one tensor."""
    content = pickled({"w": tensor(Stored(count, **storage), offset, shape, stride)})
    return zipped(content, {"0": FOUR})


def tensors(header, content=b"", length=None):
    """A .safetensors with a header of one's own."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + content


def entry(dtype="F32", shape=(4,), offsets=(0, 16), **more):
    """A header with one tensor."""
    return {"w": {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}, **more}


def nested(depth):
    """A pickle of lists in lists, each twice in the next: 2^depth without a memory of them."""
    part = []
    for _ in range(depth):
        part = [part, part]
    return pickled({"w": tensor(Stored(4), 0, (4,), (1,)), "deep": part})


def squeezed(count):
    """A .pth whose numbers unfold to `count` zeros, for a tensor of 8."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickled({"w": tensor(Stored(8), 0, (8,), (1,))}))
        archive.writestr("a/data/0", bytes(count))
    return buffer.getvalue()


def itself():
    """A pickle of a dictionary that holds itself."""
    loop = {}
    loop["loop"] = loop
    return pickled(loop)


def saved(**arrays):
    """A right .safetensors."""
    return safetensors.numpy.save(arrays)


HEAVY = saved(w=np.zeros(4, np.float32))
INTEGERS = saved(
    **{
        name: np.ones(shape, np.int64)
        for name, shape in {
            "params/hidden1/kernel": (1024, 3),
            "params/hidden1/bias": (3,),
            "params/logits/kernel": (3, 2),
            "params/logits/bias": (2,),
        }.items()
    }
)
BROKEN = saved(
    **{
        "params/hidden1/kernel": np.full((1024, 3), np.nan, np.float32),
        "params/hidden1/bias": np.zeros(3, np.float32),
        "params/logits/kernel": np.ones((3, 2), np.float32),
        "params/logits/bias": np.full(2, -np.inf, np.float32),
    }
)
CALLED = {
    "os.system": ("os", "system", "touch ran"),
    "posix.system": ("posix", "system", "touch ran"),
    "eval": ("builtins", "eval", "open('ran', 'w')"),
    "exec": ("builtins", "exec", "open('ran', 'w')"),
    "open": ("builtins", "open", "ran", "w"),
    "getattr": ("builtins", "getattr", "a", "__class__"),
    "import": ("importlib", "import_module", "antigravity"),
    "subprocess": ("subprocess", "check_output", ("touch", "ran")),
    "pathlib": ("pathlib", "Path.touch", "ran"),
    "torch.load": ("torch", "load", "it"),
    "numpy": ("numpy.core.multiarray", "_reconstruct", 1),
    "this project": ("cnnlab.utils.files", "write_json", "ran", 1),
    "a lambda of types": ("types", "FunctionType", 1),
}


def bad(name, content, words=DAMAGED, read=None):
    """A row of a file that is refused."""
    return Row(name, words, place("it", content), read)


ROWS = [
    *(bad(f"zip that calls {n}", zipped(calls(*c)), ONLY) for n, c in CALLED.items()),
    *(bad(f"pickle that calls {n}", legacy(calls(*c)), ONLY) for n, c in CALLED.items()),
    bad("a zip with an object numbered 2^31", zipped(NUMBERED), "and has made"),
    bad("a pickle with an object numbered 2^31", legacy(NUMBERED), "and has made"),
    Row("no such file", "does not exist"),
    Row("a folder", "is a folder", lambda folder: (folder / "it").mkdir()),
    Row("a device", "does not exist", lambda folder: (folder / "it").symlink_to("/dev/zero")),
    bad("empty", b"", "the file is empty"),
    bad("a web page", b"<!DOCTYPE html>", "a web page"),
    bad("a Git LFS pointer", b"version https://git-lfs.github.com", "begins with"),
    bad("an HDF5 of Keras", b"\x89HDF\r\n\x1a\n" + bytes(50), "HDF5"),
    bad("a zip that is cut", of(4, (4,), (1,))[:200]),
    bad("a zip of something else", zipped(b"").replace(b"data.pkl", b"date.pkl"), "data.pkl"),
    bad("a TorchScript program", zipped(pickled({}), **{"constants.pkl": b""}), "TorchScript"),
    bad("big-endian", zipped(pickled({}), byteorder=b"big"), "big-endian"),
    bad("an empty pickle", zipped(b"")),
    bad("a pickle that is cut", zipped(pickled({"a": 1})[:-3])),
    bad("a pickle of opcodes at random", zipped(bytes(range(255, 0, -1)))),
    bad("a pickle of nothing", zipped(pickle.dumps(None, 2)), "not a state dict"),
    bad("a list", zipped(pickled([1, 2])), "not a state dict"),
    bad("a number", zipped(pickled(5)), "not a state dict"),
    bad("a dict of numbers", zipped(pickled({"a": 1})), "not a state dict"),
    bad("a dictionary that holds itself", zipped(itself()), "it"),
    bad("a memo that was not put", zipped(b"\x80\2h\5.")),
    bad("a pickle of 2^31 letters", zipped(b"\x80\2X\xff\xff\xff\x7fa.")),
    bad("a pickle of -1 letters", zipped(b"\x80\2X\xff\xff\xff\xffa.")),
    bad("nested 100,000 deep", zipped(b"\x80\2" + b"]" * 100_000 + b"a" * 99_999 + b".")),
    bad("numbers that are missing", zipped(pickled({"w": tensor(Stored(4), 0, (4,), (1,))}))),
    bad("more numbers than there are", of(400, (400,), (1,))),
    bad("a view beyond its numbers", of(4, (9,), (1,))),
    bad("a view of huge strides", of(4, (2, 2), (2**40, 1))),
    bad("a view that repeats its numbers", of(4, (10**6, 10**6), (0, 0))),
    bad("a view from -1", of(4, (2,), (1,), offset=-1)),
    bad("a view of negative shape", of(4, (-2,), (1,))),
    bad("a view of a shape of words", of(4, ("a",), (1,))),
    bad("fewer strides than axes", of(4, (2, 2), (1,))),
    bad("a count of -4", of(-4, (4,), (1,))),
    bad("a key that leads away", of(4, (4,), (1,), key="../../etc/passwd")),
    bad("a reference to a module", of(4, (4,), (1,), kind="module")),
    bad("200 MB of zeros in 200 kB", squeezed(200_000_000)),
    bad("old: cut after its head", legacy(b"")),
    bad("old: keys of another type", legacy(pickled({"a": 1}), keys=[5]), "it"),
    bad(
        "old: a count of 2^62",
        legacy(
            pickled({"w": tensor(Stored(4), 0, (4,), (1,))}), ["0"], (2**62).to_bytes(8, "little")
        ),
    ),
    bad("old: no numbers", legacy(pickled({"w": tensor(Stored(4), 0, (4,), (1,))}), ["0"])),
    bad("old: another magic number", pickle.dumps(5, 2) + pickled({}), "begins with"),
    bad("safetensors: cut in the header", HEAVY[:20]),
    bad("safetensors: cut in the numbers", HEAVY[:-3]),
    bad("safetensors: more than its numbers", HEAVY + b"abc"),
    bad("safetensors: 8-bit floats", tensors(entry("F8_E4M3", (16,)), bytes(16)), "to float32"),
    bad("safetensors: no JSON", tensors(b"{not json}")),
    bad("safetensors: no UTF-8", tensors(b'{"\xff": 1}')),
    bad("safetensors: a header of 2^63", tensors(entry(), FOUR, length=2**63)),
    bad("safetensors: a header beyond the file", tensors(entry(), FOUR, length=10**6)),
    bad("safetensors: a list", b"\2\0\0\0\0\0\0\0[]", "begins with"),
    bad("safetensors: an unknown type", tensors(entry("F31"), FOUR)),
    bad("safetensors: another length than its shape", tensors(entry(shape=(5,)), FOUR)),
    bad("safetensors: a shape that overflows", tensors(entry(shape=(2**33, 2**33)), FOUR)),
    bad("safetensors: a negative shape", tensors(entry(shape=(-4,)), FOUR)),
    bad("safetensors: offsets beyond the file", tensors(entry(offsets=(0, 10**9)), FOUR)),
    bad("safetensors: offsets that go back", tensors(entry(offsets=(16, 0)), FOUR)),
    bad("safetensors: a hole", tensors(entry(offsets=(4, 20)), FOUR + b"abcd")),
    bad("safetensors: a number for a tensor", tensors({"w": 5})),
    bad("safetensors: metadata of numbers", tensors(entry(__metadata__={"a": 5}), FOUR)),
    bad("safetensors: metadata of a list", tensors(entry(__metadata__=[1]), FOUR)),
    bad("safetensors: nested metadata", tensors(entry(__metadata__={"a": {"b": "c"}}), FOUR)),
    bad("safetensors: nothing", tensors({}), "not a state dict"),
    bad("integers under the right names", INTEGERS, "int64, which are no weights", fit),
    bad("weights that are NaN", BROKEN, "3072 of 3072 values of params/hidden1/kernel", fit),
    bad("weights of another model", HEAVY, "does not fit mlp", fit),
    Row(
        "2^60 references to one list",
        "'w'",
        place("it", zipped(nested(60), {"0": FOUR})),
        works=True,
    ),
    Row(
        "old: 2^60 references",
        "'w'",
        place("it", legacy(nested(60), ["0"], (4).to_bytes(8, "little") + FOUR)),
        works=True,
    ),
    Row("a tensor of no numbers", "'w'", place("it", of(4, (0, 10**9), (1, 1))), works=True),
    Row("a name with markup", "[/]", place("it", saved(**{"[/]": np.ones(1)})), works=True),
]
TABLE = Table("weights", read, ROWS)
