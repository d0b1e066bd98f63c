"""Flow, disparity and depth written by hand, in the formats of KITTI and Middlebury."""

import cv2
import numpy as np
import pytest

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.preprocess.dense_files import read_depth, read_flow

DX, DY = np.array([[1.5, -2, 3], [0, 0.25, 1e10]]), np.array([[-4, 0.5, 6], [1, 0, 0]])
KNOWN = np.abs(DX) < 1e9
WANTED = np.stack([np.where(KNOWN, DY, 0), np.where(KNOWN, DX, 0), KNOWN], -1)
VALUES = np.array([[1, 2.5, np.inf], [4, 5, 0.5]], np.float32)
DEPTH = np.where(np.isfinite(VALUES), VALUES, 0)


def flo(width=3, height=2, magic=b"PIEH", cut=None):
    data = np.stack([DX, DY], -1).astype("<f4").tobytes()
    return (magic + np.array([width, height], "<i4").tobytes() + data)[:cut]


def pfm(values, order="<", head=None, cut=None):
    kind, scale = "PF" if values.ndim == 3 else "Pf", "-1.0" if order == "<" else "1"
    head = head or f"{kind}\n{values.shape[1]} {values.shape[0]}\n{scale}\n"
    return (head.encode() + values[::-1].astype(f"{order}f4").tobytes())[:cut]


def png(values):
    return cv2.imencode(".png", values)[1].tobytes()


def kitti():
    known = KNOWN[..., None]
    colors = np.stack([DX * 64 + 2**15, DY * 64 + 2**15, KNOWN], -1)
    return png(np.where(known, colors, 0).astype(np.uint16)[..., ::-1])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.flo", flo()),
        ("a.png", kitti()),
        ("a.pfm", pfm(np.stack([np.where(KNOWN, DX, np.nan), DY, DX], -1))),
    ],
)
def test_flow_is_dy_dx_and_known(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    found = read_flow(tmp_path / name)
    np.testing.assert_array_equal(found, WANTED)
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.pfm", pfm(VALUES)),
        ("a.pfm", pfm(VALUES, ">")),
        ("a.png", png((DEPTH * 256).astype(np.uint16))),
    ],
)
def test_disparity_and_depth_are_0_where_they_are_unknown(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    np.testing.assert_array_equal(read_depth(tmp_path / name), DEPTH)
    scaled = 1 if name == "a.pfm" else 0.256
    np.testing.assert_allclose(read_depth(tmp_path / name, scale=1000), DEPTH * scaled, rtol=1e-6)


@pytest.mark.parametrize(
    ("read", "name", "data", "message"),
    [
        (read_flow, "a.flo", b"", "first bytes are b''"),
        (read_flow, "a.flo", flo(magic=b"HEIP"), "those of .flo b'PIEH'"),
        (read_flow, "a.flo", flo(cut=9), "ends within its head, at 9 bytes"),
        (read_flow, "a.flo", flo(cut=-1), "2 x 3 x 2 numbers of 4 bytes, and 47 follow"),
        (read_flow, "a.flo", flo() + b"0", "and 49 follow"),
        (read_flow, "a.flo", flo(width=-3, height=-2), "-2 x -3 x 2 numbers"),
        (read_flow, "a.flo", flo(width=2**31 - 1, height=2**31 - 1), "and 48 follow"),
        (read_flow, "a.pfm", pfm(VALUES), "it is Pf, wanted PF"),
        (read_depth, "a.pfm", pfm(np.zeros((2, 3, 3))), "it is PF, wanted Pf"),
        (read_depth, "a.pfm", pfm(VALUES, cut=-4), "2 x 3 numbers of 4 bytes, and 20 follow"),
        (read_depth, "a.pfm", pfm(VALUES, head="P5\n3 2\n-1\n"), "no head of a .pfm"),
        (read_depth, "a.pfm", pfm(VALUES, head="Pf\n3 2\n-e\n"), "head is '-e', no number"),
        (read_flow, "a.png", png(np.zeros((2, 3), np.uint16)), "it has 1 of 16"),
        (read_flow, "a.png", png(np.zeros((2, 3, 3), np.uint8)), "3 channel.* it has 3 of 8"),
        (read_depth, "a.png", png(np.zeros((2, 3), np.uint8)), "1 channel.* it has 1 of 8"),
        (read_depth, "a.png", kitti()[:-20], "no whole PNG"),
        (read_depth, "a.png", b"text", "no whole PNG"),
    ],
)
def test_what_a_file_lacks_is_named(tmp_path, read, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(CorruptImage, match=rf"{name} \(index 4\): .*{message}"):
        read(tmp_path / name, 4)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(CorruptImage, match=r"a.flo .*cannot be read: No such file"):
        read_flow(tmp_path / "a.flo")
