"""PyTorch files with pickles of one's own."""

import io
import pickle
import zipfile

from cnnlab.pretrained import torch_file

# An object of ten bytes for which the unpickler would make room for 2^32 more.
NUMBERED = b"\x80\2K\1r\xff\xff\xff\x7f."


def zipped(pickled, data=(), **others):
    """Return a file of the newer form with a pickle of one's own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, content in dict(data).items():
            archive.writestr(f"archive/data/{key}", content)
        for name, content in others.items():
            archive.writestr(f"archive/{name}", content)
    return buffer.getvalue()


def legacy(pickled, keys=(), content=b"", *, little_endian=True):
    """Return a file of the older form with a pickle of one's own."""
    start = (torch_file.MAGIC, 1001, {"little_endian": little_endian})
    head = b"".join(pickle.dumps(part, protocol=2) for part in start)
    return head + pickled + pickle.dumps(list(keys), protocol=2) + content


class Global:
    """Pickles as a reference to a name that need not be importable."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Stored:
    """Pickles as a reference to the raw numbers under a key."""

    def __init__(self, count, key="0", view=(), kind="storage"):
        self.id = (kind, Global("torch", "FloatStorage"), key, "cpu", count, *view)


class Call:
    """Pickles as a call of what a name refers to."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


class Built(Call):
    """Pickles as a new object that is filled and given a state."""


class Writer(pickle._Pickler):
    def persistent_id(self, obj):
        return obj.id if isinstance(obj, Stored) else None

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, Global):
            self.write(f"c{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.NEWOBJ if isinstance(obj, Built) else pickle.REDUCE)
            if isinstance(obj, Built):
                for fill in (pickle.SETITEM, pickle.APPEND, pickle.BUILD):
                    for _ in range(1 + (fill == pickle.SETITEM)):
                        self.save({"lr": 0.1}) if fill == pickle.BUILD else self.save("lr")
                    self.write(fill)
        else:
            super().save(obj, save_persistent_id)


def pickled(content):
    buffer = io.BytesIO()
    Writer(buffer, protocol=2).dump(content)
    return buffer.getvalue()


def tensor(storage, offset, shape, stride):
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, offset, shape, stride, False, None)
