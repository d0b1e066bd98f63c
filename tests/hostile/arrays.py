"""Archives of arrays that are damaged, or hold something else."""

import io
import zipfile

import numpy as np
from hostile.images import cut, flipped
from hostile.row import Row, Table, place

IMAGE = np.zeros((4, 6, 6, 3), np.uint8)
LABEL = np.array([0, 1, 0, 1])


def saved(**arrays):
    """An archive of arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def packed(image=IMAGE, label=LABEL):
    """The same, compressed."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 9, 9), np.uint8)
    np.savez_compressed(buffer, image=image, label=label, noise=noise[: len(label)])
    return buffer.getvalue()


def zipped(**members):
    """A zip archive of raw members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def npy(header, content=b"", version=b"\1\0"):
    """An array with a header of one's own."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + content


def with_header(header, content=b"", **more):
    """An archive whose images have a header of their own."""
    label = io.BytesIO()
    np.save(label, LABEL)
    return zipped(image=npy(header, content, **more), label=label.getvalue())


def patched(data, offset, value):
    """An archive with a field of every local and central header changed."""
    changed = bytearray(data)
    for signature, more in ((b"PK\3\4", 0), (b"PK\1\2", 2)):
        at = data.find(signature)
        while at >= 0:
            changed[at + offset + more : at + offset + more + 2] = value.to_bytes(2, "little")
            at = data.find(signature, at + 1)
    return bytes(changed)


def declared(data, size):
    """An archive whose first array says that it is larger, as zeros are when they unfold."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(buffer, "w") as archive:
        for member in source.infolist():
            archive.writestr(member.filename, source.read(member))
        archive.infolist()[0].file_size = size
    return buffer.getvalue()


def bad(name, words, content=None, **arrays):
    """A row of an archive that is refused."""
    data = saved(**{"image": IMAGE, "label": LABEL, **arrays}) if content is None else content
    return Row(name, words, place("it.npz", data))


def good(name, words="samples drawn in", content=None, **arrays):
    """A row of an archive that is odd and right."""
    return bad(name, words, content, **arrays)._replace(works=True)


def label(values, dtype=None):
    """Labels as an array."""
    return np.array(values, dtype)


ARRAY = io.BytesIO()
np.save(ARRAY, IMAGE)
DAMAGED = "no file that np.savez wrote, or is damaged"
SHAPE = "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 6, 6, 3), }"
WHOLE = saved(image=IMAGE, label=LABEL)
RAGGED = np.array([{}, 1], object)
RECORD = np.zeros(4, [("a", "u1"), ("b", "u1")])

ROWS = [
    Row("no such file", "there is no such file"),
    Row("a folder", "there is no such file", lambda folder: (folder / "it.npz").mkdir()),
    Row(
        "a device",
        "there is no such file",
        lambda folder: (folder / "it.npz").symlink_to("/dev/zero"),
    ),
    bad("empty", DAMAGED, b""),
    bad("text", DAMAGED, b"image,label\n"),
    bad("a pickle", DAMAGED, b"\x80\4}."),
    bad("an empty zip", "has arrays []", zipped()),
    bad("an .npy in its place", "holds one array", ARRAY.getvalue()),
    *(bad(f"cut at {p}", DAMAGED, cut(packed(), p)) for p in (0.02, 0.1, 0.5, 0.9, 0.99)),
    *(bad(f"a bit flipped at {p}", "it.npz", flipped(packed(), p)) for p in (0.5, 0.6, 0.7)),
    bad("an unknown compression", "save it again with np.savez", patched(packed(), 8, 99)),
    bad("encrypted", "save it again with np.savez", patched(packed(), 6, 1)),
    bad("10^12 bytes of zeros", "its arrays take 1,", declared(packed(), 10**12)),
    bad("a shape of 2^40", DAMAGED, with_header(SHAPE.replace("(4", f"({2**40}"))),
    bad("a shape of 2^70", DAMAGED, with_header(SHAPE.replace("(4", f"({2**70}"))),
    bad("a negative shape", "it.npz", with_header(SHAPE.replace("(4", "(-4"), bytes(432))),
    bad("a header that calls", "header of an array", with_header("__import__('os').abort()")),
    bad("a header that is nested", DAMAGED, with_header("(" * 100)),
    bad("an unknown version", DAMAGED, with_header(SHAPE, bytes(432), version=b"\x09\0")),
    bad("an unknown type", DAMAGED, with_header(SHAPE.replace("|u1", "|q9"), bytes(432))),
    bad("fewer bytes than its shape", DAMAGED, with_header(SHAPE, bytes(5))),
    bad("objects", "Python objects", image=RAGGED),
    bad("no images", "wanted: image and label", content=saved(label=LABEL)),
    bad("no labels", "there is no array 'label'", content=saved(image=IMAGE)),
    bad("other names", "wanted: image and label", content=saved(x=IMAGE, y=LABEL)),
    bad("images of text", "images are <U1; wanted uint8", image=np.full((4, 2, 2, 1), "a")),
    bad("images of records", "it.npz", image=RECORD),
    bad("images of records of pixels", "wanted uint8", image=RECORD.reshape(4, 1, 1, 1)),
    bad("images of complex numbers", "wanted uint8", image=IMAGE.astype(complex)),
    bad("images of dates", "wanted uint8", image=IMAGE.astype("M8[s]")),
    bad("images of int64", "wanted uint8", image=IMAGE.astype(np.int64)),
    bad("images of NaN", "wanted uint8", image=np.full((4, 2, 2, 1), np.nan)),
    bad("images of infinities", "wanted uint8", image=np.full((4, 2, 2, 1), np.inf)),
    bad("images beyond 1", "from 0.0 to 255.0", image=np.eye(4).reshape(4, 2, 2, 1) * 255),
    bad("images without pixels", "have no pixels", image=np.zeros((4, 0, 6, 3), np.uint8)),
    bad("images of 10^9 pixels of none", "no pixels", image=np.zeros((4, 0, 10**9, 3), np.uint8)),
    bad("images of two axes", "wanted (n, h, w)", image=np.zeros((4, 36), np.uint8)),
    bad("images of five axes", "wanted (n, h, w)", image=IMAGE[None].repeat(4, 0)),
    bad("channels first", "np.moveaxis", image=np.zeros((4, 3, 6, 6), np.uint8)),
    bad("fewer images than labels", "there are 4 labels", image=IMAGE[:3]),
    bad("a scalar image", "there are 4 labels", image=np.uint8(3)),
    bad("other rows of another number", "'more' has shape (3,)", more=np.zeros(3)),
    bad("labels of floats", "label.astype(int)", label=LABEL.astype(float)),
    bad("labels of text", "np.unique", label=label(["a", "b", "a", "b"])),
    bad("labels of truth", "label.astype(int)", label=LABEL > 0),
    bad("labels as a column", "np.squeeze", label=LABEL[:, None]),
    bad("labels as vectors", "np.argmax", label=np.eye(4, dtype=int)),
    bad("a scalar label", "labels must be", label=np.int64(1)),
    bad("negative labels", "negative ones", label=label([0, -1, 0, 1])),
    bad("a label of 2^31 - 1", "more than 1,048,576 classes", label=label([0, 1, 0, 2**31 - 1])),
    bad("a label of 2^31", "more than 1,048,576 classes", label=label([0, 1, 0, 2**31])),
    bad("a label of 2^32", "more than 1,048,576 classes", label=label([0, 1, 0, 2**32])),
    bad("a label of 2^64 - 1", "more than 1,048,576", label=label([0, 1, 0, 2**64 - 1], "u8")),
    bad("labels from 1", "subtract 1", label=LABEL + 1),
    bad("too few class names", "only 1 'class_names'", class_names=label(["a"])),
    bad("class names of floats", "must be strings", class_names=label([0.5, 1])),
    bad("a table of class names", "must be strings", class_names=label([["a", "b"]])),
    bad(
        "splits that differ",
        "differs between splits",
        content=saved(
            train_image=IMAGE, train_label=LABEL, test_image=IMAGE[:, :2], test_label=LABEL
        ),
    )._replace(read="data npz:it.npz --split=train+test"),
    bad("only a test split", "split", content=saved(test_image=IMAGE, test_label=LABEL)),
    bad("no examples", "selects no example", image=IMAGE[:0], label=LABEL[:0]),
    good("class names that are no UTF-8", "\\xff", class_names=label([b"\xff", b"b"])),
    good("class names of numbers", "2 classes: 7, 9", class_names=label([7, 9])),
    good(
        "class names with control characters",
        "a\\x1b[31m, b\\nc",
        class_names=label(["a\x1b[31m", "b\nc"]),
    ),
    good("class names with half a character", "\\udcff, c", class_names=label(["\udcff", "c"])),
    good("images of two channels", "two.png", image=np.zeros((4, 6, 6, 2), np.uint8))._replace(
        read="data npz:it.npz --sheet=two.png"
    ),
    good("class names with markup", "[red], [/]", class_names=label(["[red]", "[/]"])),
    good("big-endian labels", label=LABEL.astype(">i4")),
    good("labels of uint8", label=LABEL.astype(np.uint8)),
    good("images in the order of columns", image=np.asfortranarray(IMAGE)),
    good("gray images", image=IMAGE[..., 0]),
    good("images of half precision", image=IMAGE.astype(np.float16)),
    bad("other data before the archive", DAMAGED, b"#!/bin/sh\n" + WHOLE),
    good("other data behind the archive", content=WHOLE + bytes(50)),
]
TABLE = Table("arrays", "data npz:it.npz", ROWS)
