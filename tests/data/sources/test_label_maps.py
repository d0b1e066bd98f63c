"""Label maps of Cityscapes, VOC and CamVid: values, layouts, and maps that cannot be."""

import numpy as np
import pytest
from PIL import Image
from published import real

from cnnlab.data.preprocess.decode import CorruptImage
from cnnlab.data.sources import source
from cnnlab.errors import MissingData, UserError

SIZE = (6, 8)


def write(path, values, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.broadcast_to(np.asarray(values, np.uint8), SIZE), "L")
    if mode == "P":
        image = image.copy()
        image.putpalette(np.arange(768) % 256)
    image.save(path)


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)


def cityscapes(root, values):
    picture(root / "leftImg8bit/val/bonn/a_leftImg8bit.png")
    write(root / "gtFine/val/bonn/a_gtFine_labelIds.png", values)
    return source.load(f"cityscapes:{root}", "val")


def camvid(root, values, mode="L"):
    picture(root / "train/a.webp")
    write(root / "trainannot/a.png", values, mode)
    return source.load(f"camvid:{root}", "train")


def test_ids_of_cityscapes_become_train_ids(tmp_path):
    # Void, road, building, caravan, bicycle.
    found = cityscapes(tmp_path, [0, 7, 11, 29, 33, 7, 7, 7])
    np.testing.assert_array_equal(found[0]["label_map"][0], [255, 0, 2, 255, 18, 0, 0, 0])
    assert found.info.class_names[18] == "bicycle" and len(found.info.class_names) == 19
    assert found.info.kinds["label_map"] == "label_map" and found[0]["label_map"].dtype == np.uint8


def test_palettes_of_voc_are_indices(tmp_path):
    picture(tmp_path / "JPEGImages/a.jpg")
    write(tmp_path / "SegmentationClass/a.png", [0, 20, 255, 1, 0, 0, 0, 0], "P")
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\n")
    found = source.load(f"voc_segmentation:{tmp_path}", "train")
    np.testing.assert_array_equal(found[0]["label_map"][0, :4], [0, 20, 255, 1])
    assert found.info.class_names[20] == "tvmonitor"


def test_void_of_camvid_does_not_count(tmp_path):
    found = camvid(tmp_path, [0, 10, 11, 3, 0, 0, 0, 0])
    np.testing.assert_array_equal(found[0]["label_map"][0, :4], [0, 10, 255, 3])
    assert found.files() == ["train/a.webp"] and found.ids().shape == (1,)


def test_an_unknown_label_colors_and_16_bits_are_named(tmp_path):
    with pytest.raises(CorruptImage, match=r"unknown label\(s\) 12, 40"):
        camvid(tmp_path, [0, 12, 40, 3, 0, 0, 0, 0])[0]
    place = tmp_path / "trainannot/a.png"
    for array, mode in (
        (np.zeros((*SIZE, 3), np.uint8), "RGB"),
        (np.zeros(SIZE, np.uint16), "I;16"),
    ):
        Image.fromarray(array).save(place)
        with pytest.raises(CorruptImage, match=f"8 bits of gray, not {mode}"):
            source.load(f"camvid:{tmp_path}", "train")[0]
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(place)
    with pytest.raises(CorruptImage, match="3 x 3 pixels, and its image has 6 x 8"):
        source.load(f"camvid:{tmp_path}", "train")[0]
    place.write_bytes(place.read_bytes()[:40])
    with pytest.raises(CorruptImage, match=r"a\.png"):
        source.load(f"camvid:{tmp_path}", "train")[0]


def test_labels_of_one_bit_are_0_and_1(tmp_path):
    camvid(tmp_path, [0] * 8)
    bits = np.tile([False, True], (SIZE[0], SIZE[1] // 2))
    Image.fromarray(bits).save(tmp_path / "trainannot/a.png")
    labels = source.load(f"camvid:{tmp_path}", "train")[0]["label_map"]
    np.testing.assert_array_equal(labels, bits)


@pytest.mark.parametrize("kind", ["cityscapes", "voc_segmentation", "camvid"])
def test_layouts_that_are_not_there_are_said(kind, tmp_path):
    with pytest.raises(MissingData, match="the layout is PATH/"):
        source.load(f"{kind}:{tmp_path}/none", "train")
    with pytest.raises(UserError, match="has no label maps; the layout is PATH/"):
        source.load(f"{kind}:{tmp_path}", "train")


def test_an_image_without_labels_is_named_before_anything_is_read(tmp_path):
    camvid(tmp_path, [0] * 8)
    (tmp_path / "trainannot/a.png").unlink()
    with pytest.raises(UserError, match=r"train/a.webp has no trainannot/a.png"):
        source.load(f"camvid:{tmp_path}", "train")


def test_camvid_has_its_published_counts_and_shares():
    place = real("camvid")
    root = place / "CamVid" if (place / "CamVid").is_dir() else place
    lengths = [len(source.load(f"camvid:{root}", split)) for split in ("train", "val", "test")]
    assert lengths == [367, 101, 233]
    train = source.load(f"camvid:{root}", "train")
    counts = np.zeros(256, int)
    for index in range(len(train)):
        counts += np.bincount(train[index]["label_map"].ravel(), minlength=256)
    shares = counts / counts.sum()
    published = [0.1685, 0.2326, 0.0098, 0.3166, 0.0449, 0.0972, 0.0117, 0.0113]
    published += [0.0587, 0.0064, 0.0029]
    np.testing.assert_allclose(shares[:11], published, atol=6e-5)
    assert shares[255] == pytest.approx(0.0395, abs=6e-5)
