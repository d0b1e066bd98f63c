"""Pairs of frames, stereo and depth by their layouts, and the published pairs."""

import cv2
import numpy as np
import pytest
from PIL import Image
from published import real

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.preprocess.transforms import preprocess
from cnnlab.data.sources import source
from cnnlab.errors import MissingData, UserError

SIZE = (4, 6)


def image(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*SIZE, 3), value, np.uint8)).save(path)


def flo(path, dx, dy, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    vectors = np.broadcast_to(np.array([dx, dy], "<f4"), (*size, 2))
    path.write_bytes(b"PIEH" + np.array(size[::-1], "<i4").tobytes() + vectors.tobytes())


def png16(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full(SIZE, value, np.uint16))


def sintel(root):
    for number in (1, 2, 3):
        image(root / f"training/clean/alley/frame_{number:04}.png", number)
    for number in (1, 2):
        flo(root / f"training/flow/alley/frame_{number:04}.flo", 3, number)


def test_sintels_next_frame_is_the_one_after(tmp_path):
    sintel(tmp_path)
    found = source.load(f"flow:{tmp_path}", "train")
    found.check()
    assert len(found) == 2
    example = found[1]
    assert example["video"].shape == (2, *SIZE, 3)
    np.testing.assert_array_equal(example["image"], example["video"][0])
    np.testing.assert_array_equal(example["video"][:, 0, 0], [[2, 2, 2], [3, 3, 3]])
    np.testing.assert_array_equal(example["flow"][0, 0], [2, 3, 1])
    assert example["image_id"] == source.load(f"flow:{tmp_path}", "train[1:]")[0]["image_id"] == 1
    moved = preprocess(example, None, found.info.targets(), resize={"size": 12, "mode": "exact"})
    np.testing.assert_array_equal(moved["flow"][0, 0], [6, 6, 1])
    np.testing.assert_array_equal(moved["video"][:, 0, 0, 0], [2, 3])
    assert moved["video"].shape == (2, 12, 12, 3) and moved["image"].shape == (12, 12, 3)


def test_files_of_ones_own_follow_two_slashes(tmp_path):
    for name in ("a", "b"):
        image(tmp_path / f"set/{name}_1.png", 1)
        image(tmp_path / f"set/{name}_2.png", 2)
        flo(tmp_path / f"set/flow/{name}.flo", 0, 0)
    name = f"flow:{tmp_path}/set//{{n}}_1.png,{{n}}_2.png,flow/{{n}}.flo"
    assert source.load(name, "train").files() == ["a_1.png", "b_1.png"]
    moved = source.moved({"source": name, "eval": {"sources": {}}}, "/new")
    assert moved["source"] == "flow:/new//{n}_1.png,{n}_2.png,flow/{n}.flo"
    with pytest.raises(UserError, match="wanted 3 patterns with commas between them"):
        source.load(f"flow:{tmp_path}/set//{{n}}_1.png", "train")


def test_stereo_has_disparity_that_grows_with_the_width(tmp_path):
    image(tmp_path / "training/image_2/000000_10.png", 1)
    image(tmp_path / "training/image_3/000000_10.png", 2)
    png16(tmp_path / "training/disp_occ_0/000000_10.png", 3 * 256)
    found = source.load(f"stereo:{tmp_path}", "train")
    example = found[0]
    np.testing.assert_array_equal(example["disparity"], np.full(SIZE, 3))
    moved = preprocess(example, None, found.info.targets(), resize={"size": 12, "mode": "exact"})
    np.testing.assert_array_equal(moved["disparity"], np.full((12, 12), 6))


def test_depth_may_say_what_1_is_in_its_files(tmp_path):
    image(tmp_path / "rgb/a.png", 1)
    png16(tmp_path / "depth/a.png", 512)
    for name, depth in (("", 2), ("//rgb/{n}.png,depth/{n}.png,1024", 0.5)):
        example = source.load(f"depth:{tmp_path}{name}", "train")[0]
        assert example["image"].shape == (*SIZE, 3)
        np.testing.assert_array_equal(example["depth"], np.full(SIZE, depth))


def test_what_is_missing_or_of_another_size_is_named(tmp_path):
    sintel(tmp_path)
    (tmp_path / "training/clean/alley/frame_0003.png").unlink()
    found = source.load(f"flow:{tmp_path}", "train")
    with pytest.raises(CorruptImage, match=r"frame_0003.png \(index 1\): there is no such file"):
        found.check()
    flo(tmp_path / "training/flow/alley/frame_0001.flo", 0, 0, (5, 6))
    with pytest.raises(CorruptImage, match=r"frame_0001.flo .*5 x 6 pixels, and frame_0001.png"):
        found[0]
    with pytest.raises(UserError, match=r"has no stereo; in PATH the files are training/image_2"):
        source.load(f"stereo:{tmp_path}", "train")
    with pytest.raises(MissingData, match="there is no such folder"):
        source.load(f"flow:{tmp_path}/gone", "train")


def warped(example, dy, dx):
    """Return the mean difference of the frames, before and after the second is taken back."""
    first, second = example["video"].astype(np.float32)
    y, x = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float32)
    back = cv2.remap(second, x + dx, y + dy, cv2.INTER_LINEAR)
    inside = (x + dx >= 0) & (x + dx <= x.max()) & (y + dy >= 0) & (y + dy <= y.max())
    return [
        np.abs(first - other)[inside & ((dx != 0) | (dy != 0))].mean() for other in (second, back)
    ]


def test_the_published_pairs_agree_once_they_are_warped():
    place = real("flow_stereo")
    example = source.load(f"flow:{place}/kitti_flow", "train")[0]
    flow = example["flow"]
    assert flow[..., 2].mean() == pytest.approx(0.162, abs=5e-4)
    np.testing.assert_allclose(warped(example, flow[..., 0], flow[..., 1]), [41.2, 16.4], atol=0.05)
    example = source.load(f"stereo:{place}/motorcycle", "train")[0]
    disparity = example["disparity"]
    assert (disparity > 0).mean() == pytest.approx(0.927, abs=5e-4)
    np.testing.assert_allclose(warped(example, 0 * disparity, -disparity), [39.5, 7.7], atol=0.05)
