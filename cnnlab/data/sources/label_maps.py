"""Images with a class for every pixel: Cityscapes, PASCAL VOC and CamVid in their own folders.

    cityscapes:/path        leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png,
                            gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png
    voc_segmentation:/path  ImageSets/Segmentation/SPLIT.txt, JPEGImages/NAME.jpg,
                            SegmentationClass/NAME.png
    camvid:/path            SPLIT/NAME.png (or .webp, .jpg), SPLITannot/NAME.png; train, val, test

    image      uint8 (h, w, 3)
    label_map  uint8 (h, w), 255 where no class counts
    image_id   int32, place in the split

Classes: Cityscapes' 19 train ids (Cordts et al. 2016; all others of its 34 ids are 255), VOC's
background and twenty, CamVid's eleven of SegNet (Badrinarayanan et al. 2017; void, 11, is 255).
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import UInt8

from cnnlab.data.preprocess.decode import EXTENSIONS, CorruptImage, decode, size_of
from cnnlab.data.sources import voc
from cnnlab.data.sources.identity import file_ids
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.object_checks import (
    Declared,
    check_header,
    check_size,
    check_there,
    spread,
)
from cnnlab.data.sources.splits import resolve
from cnnlab.data.spatial_targets import IGNORED_LABEL
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.files import expand, read_file


class Pair(NamedTuple):
    """The files of an image and of its labels, in the folder of the set."""

    image: str
    labels: str


class LabelMapSource:
    """Images and label maps; the kinds of sets say where these lie and what the values are."""

    kind: ClassVar[str]
    names: ClassVar[tuple[str, ...]]
    layout: ClassVar[str]
    # Value in the file -> class; values that are not here cannot be.
    values: ClassVar[Mapping[int, int]]

    def __init__(self, path: str, split: str, *, exif: bool = True):
        """List the files of a split.

        Raises:
            MissingData: there is no such folder.
            UserError: it is laid out otherwise, or an image has no label map.
        """
        name, self._root, self._exif = f"{self.kind}:{path}", Path(expand(path)), exif
        if not self._root.is_dir():
            raise MissingData(f"{name}: there is no such folder; {self.layout}")
        splits = self._splits(self._root)
        if not splits:
            raise UserError(f"{name} has no label maps; {self.layout}")
        lengths = {key: [len(pairs)] for key, pairs in splits.items()}
        ranges = resolve(split, lengths, name=name)
        self._list = [pair for key, start, stop in ranges for pair in splits[key][start:stop]]
        for pair in self._list:
            if not (self._root / pair.labels).is_file():
                raise UserError(f"{name}: {pair.image} has no {pair.labels}; {self.layout}")
        self._table = np.full(256, -1)
        for value, label in self.values.items():
            self._table[value] = label
        spec = {
            "image": ((None, None, 3), "uint8"),
            "label_map": ((None, None), "uint8"),
            "image_id": ((), "int32"),
        }
        self.info = Info(name, split, self.names, spec)

    def __len__(self) -> int:
        return len(self._list)

    def files(self) -> list[str]:
        """Return every image's file as it lies in the folder."""
        return [pair.image for pair in self._list]

    def ids(self) -> np.ndarray:
        """Return the identity of every image; see `cnnlab.data.sources.identity`."""
        return file_ids((self._root, pair.image) for pair in self._list)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        pair = self._list[index]
        image = decode(self._root / pair.image, exif=self._exif, index=int(index))
        file = self._root / pair.labels
        values = read_labels(file, int(index))
        check_size(values, Declared(file, image.shape[:2], "its image has"), index)
        labels = self._table[values]
        if labels.min(initial=0) < 0:
            unknown = ", ".join(map(str, np.unique(values[labels < 0])[:5]))
            raise CorruptImage(str(file), int(index), f"it has the unknown label(s) {unknown}")
        number = np.asarray(index, np.int32)
        return {"image": image, "label_map": labels.astype(np.uint8), "image_id": number}

    def check(self) -> None:
        """Raise `CorruptImage` for an image that is missing, or of another size than its labels.

        All are looked for; heads are read of some, evenly spread.
        """
        check_there([self._root / pair.image for pair in self._list])
        for index in spread(len(self._list)):
            image, labels = (self._root / file for file in self._list[index])
            size = size_of(image, index, exif=self._exif)
            check_header(Declared(labels, size, "its image has"), index)

    @staticmethod
    def _splits(root: Path) -> dict[str, list[Pair]]:
        """Return the files of every split."""
        raise NotImplementedError


def read_labels(file: Path, index: int = -1) -> UInt8[np.ndarray, "h w"]:
    """Return the values of a label map: indices of a palette, or gray of 8 bits, as they are.

    Raises:
        CorruptImage: it cannot be read, or has colors or 16 bits.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(read_file(file))) as image:
            if image.mode not in ("P", "L", "1"):
                raise CorruptImage(
                    str(file), index, f"labels are a palette or 8 bits of gray, not {image.mode}"
                )
            return np.array(image).astype(np.uint8)
    except CorruptImage:
        raise
    except OSError as error:
        raise CorruptImage(str(file), index, error.strerror or str(error)) from error
    except Exception as error:
        raise CorruptImage(str(file), index, str(error) or type(error).__name__) from error


class Cityscapes(LabelMapSource):
    """Streets of 50 cities, 1024 x 2048 pixels."""

    kind = "cityscapes"
    names = (
        *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light"),
        *("traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck"),
        *("bus", "train", "motorcycle", "bicycle"),
    )
    layout = (
        "the layout is PATH/leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png and "
        "PATH/gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png"
    )
    COUNTED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    values: ClassVar[Mapping[int, int]] = {
        **dict.fromkeys((*range(34), IGNORED_LABEL), IGNORED_LABEL),
        **{value: number for number, value in enumerate(COUNTED)},
    }

    @staticmethod
    def _splits(root: Path) -> dict[str, list[Pair]]:
        ending = "_leftImg8bit.png"
        found: dict[str, list[Pair]] = {}
        for file in sorted((root / "leftImg8bit").glob(f"*/*/*{ending}")):
            split, city, name = file.relative_to(root / "leftImg8bit").parts
            stem = name.removesuffix(ending)
            labels = f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png"
            found.setdefault(split, []).append(Pair(f"leftImg8bit/{split}/{city}/{name}", labels))
        return found


class VOCSegmentation(LabelMapSource):
    """PASCAL VOC's images with label maps."""

    kind = "voc_segmentation"
    names = ("background", *voc.CLASSES)
    layout = (
        "the layout is PATH/ImageSets/Segmentation/SPLIT.txt, PATH/JPEGImages/NAME.jpg and "
        "PATH/SegmentationClass/NAME.png"
    )
    values: ClassVar[Mapping[int, int]] = {
        **{number: number for number in range(21)},
        IGNORED_LABEL: IGNORED_LABEL,
    }

    @staticmethod
    def _splits(root: Path) -> dict[str, list[Pair]]:
        found = {}
        for file in sorted((root / "ImageSets/Segmentation").glob("*.txt")):
            stems = read_file(file).decode(errors="replace").split()
            found[file.stem] = [
                Pair(f"JPEGImages/{stem}.jpg", f"SegmentationClass/{stem}.png") for stem in stems
            ]
        return {split: pairs for split, pairs in found.items() if pairs}


class CamVid(LabelMapSource):
    """Frames of four drives, 360 x 480 pixels, in eleven classes."""

    kind = "camvid"
    names = (
        *("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car"),
        *("pedestrian", "cyclist"),
    )
    layout = "the layout is PATH/train/NAME.png and PATH/trainannot/NAME.png, also val and test"
    values: ClassVar[Mapping[int, int]] = {**{n: n for n in range(11)}, 11: IGNORED_LABEL}

    @staticmethod
    def _splits(root: Path) -> dict[str, list[Pair]]:
        found = {}
        for split in ("train", "val", "test"):
            files = sorted(f for f in (root / split).glob("*") if f.suffix.lower() in EXTENSIONS)
            pairs = [Pair(f"{split}/{f.name}", f"{split}annot/{f.stem}.png") for f in files]
            if pairs:
                found[split] = pairs
        return found
