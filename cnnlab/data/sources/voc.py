"""`voc:/path`: objects in boxes, in the layout of PASCAL VOC (Everingham et al. 2010).

    /path/Annotations/NAME.xml
    /path/JPEGImages/NAME.jpg            or the file that the XML names
    /path/ImageSets/Main/SPLIT.txt       a NAME a line

`/path` may also be a folder that holds one such folder. Splits are the lists; without lists all
images are `train`.

    image      uint8 (h, w, 3)
    boxes      float32 (n, 4), [y0, x0, y1, x1]. VOC counts pixels from 1 and both corners are
               inside: y0 = ymin - 1, y1 = ymax
    classes    int32 (n,), VOC's twenty in their order, or the sorted names of the folder
    difficult  bool (n,)
    image_id   int32, place among the sorted names of Annotations

A box without a pixel inside its image is left out; how many there are, and the first, is a warning
when the set is opened. Boxes are clipped to their image.
"""

import logging
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Bool, Float32

from cnnlab.data.preprocess.decode import EXTENSIONS, decode
from cnnlab.data.sources.identity import file_ids
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.object_checks import (
    Clipped,
    Declared,
    check_declared,
    check_size,
    clip,
    warn,
)
from cnnlab.data.sources.splits import resolve
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.files import expand, read_file

LOG = logging.getLogger(__name__)
CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
ANNOTATIONS, IMAGES, LISTS = "Annotations", "JPEGImages", "ImageSets/Main"
CORNERS = ("ymin", "xmin", "ymax", "xmax")
FORM = "VOC's are xmin, ymin, xmax, ymax in pixels"
LAYOUT = (
    f"the layout is PATH/{ANNOTATIONS}/NAME.xml, PATH/{IMAGES}/NAME.jpg, PATH/{LISTS}/SPLIT.txt"
)


class Annotation(NamedTuple):
    """What the XML of an image says."""

    name: str
    file: str
    size: tuple[int, int]
    boxes: Float32[np.ndarray, "n 4"]
    names: tuple[str, ...]
    difficult: Bool[np.ndarray, "n"]
    clipped: Clipped
    left_out: tuple[str, ...]


class VOCSource:
    """Images with the boxes of their objects."""

    def __init__(self, path: str, split: str, *, exif: bool = True):
        """Read the annotations of the whole folder, so that classes are alike in all splits.

        Raises:
            MissingData: there is no such folder.
            UserError: it is laid out otherwise, an XML cannot be read or has no number where one
                belongs, or a list names what is not there.
        """
        name, self._root, self._exif = f"voc:{path}", _root(path), exif
        files = sorted((self._root / ANNOTATIONS).glob("*.xml"))
        if not files:
            raise UserError(f"{name} has no annotations; {LAYOUT}")
        every = {file.stem: _read(file) for file in files}
        self._numbers = {stem: number for number, stem in enumerate(every)}
        lists = _lists(self._root) or {"train": list(every)}
        for key, stems in lists.items():
            for stem in stems:
                if stem not in every:
                    raise UserError(f"{name}: the list {key}.txt has '{stem[:60]}', without an XML")
            twice = [stem for stem, count in Counter(stems).items() if count > 1]
            if twice:
                LOG.warning(
                    "%s: the list %s.txt has %d image(s) more than once, the first '%s'",
                    *(name, key, len(twice), twice[0]),
                )
        lengths = {key: [len(stems)] for key, stems in lists.items()}
        ranges = resolve(split, lengths, name=name)
        self._list = [every[s] for key, start, stop in ranges for s in lists[key][start:stop]]
        left_out = [text for one in self._list for text in one.left_out]
        warn(name, [one.clipped for one in self._list], left_out, FORM)
        found = {label for annotation in every.values() for label in annotation.names}
        names = CLASSES if found <= set(CLASSES) else tuple(sorted(found))
        self._classes = {label: number for number, label in enumerate(names)}
        spec = {
            "image": ((None, None, 3), "uint8"),
            "boxes": ((None, 4), "float32"),
            "classes": ((None,), "int32"),
            "difficult": ((None,), "bool"),
            "image_id": ((), "int32"),
        }
        self.info = Info(name, split, names, spec)

    def __len__(self) -> int:
        return len(self._list)

    def files(self) -> list[str]:
        """Return every image's file as it lies in the folder."""
        return [self._place(annotation) for annotation in self._list]

    def ids(self) -> np.ndarray:
        """Return the identity of every image; see `cnnlab.data.sources.identity`."""
        return file_ids((self._root, place) for place in self.files())

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        annotation = self._list[index]
        declared = self._declared(annotation)
        image = decode(declared.path, exif=self._exif, index=int(index))
        check_size(image, declared, index)
        classes = [self._classes[label] for label in annotation.names]
        return {
            "image": image,
            "boxes": annotation.boxes,
            "classes": np.array(classes, np.int32),
            "difficult": annotation.difficult,
            "image_id": np.asarray(self._numbers[annotation.name], np.int32),
        }

    def check(self) -> None:
        """Raise `CorruptImage` for an image that is missing or of another size by its head."""
        check_declared([self._declared(annotation) for annotation in self._list], self._exif)

    def _declared(self, annotation: Annotation) -> Declared:
        path = self._root / self._place(annotation)
        return Declared(path, annotation.size, f"{annotation.name}.xml has")

    def _place(self, annotation: Annotation) -> str:
        """Return the image of an annotation: the file that it names, or one of its own name."""
        own = [f"{annotation.name}{end}" for end in EXTENSIONS]
        for name in (annotation.file, *own):
            if name and (self._root / IMAGES / name).is_file():
                return f"{IMAGES}/{name}"
        return f"{IMAGES}/{annotation.file or own[0]}"


def _root(path: str) -> Path:
    root = Path(expand(path))
    if not root.is_dir():
        raise MissingData(f"voc:{path}: there is no such folder; {LAYOUT}")
    inner = [folder.parent for folder in sorted(root.glob(f"*/{ANNOTATIONS}"))]
    if (root / ANNOTATIONS).is_dir() or not inner:
        return root
    if len(inner) > 1:
        names = ", ".join(folder.name for folder in inner)
        raise UserError(f"voc:{path} holds several sets: name one of {names}")
    return inner[0]


def _lists(root: Path) -> dict[str, list[str]]:
    """Return the names in each list; those of single classes (cat_train) are passed over."""
    lists = {}
    for file in sorted((root / LISTS).glob("*.txt")):
        lines = [line.split() for line in read_file(file).decode(errors="replace").splitlines()]
        if all(len(line) < 2 for line in lines):
            lists[file.stem] = [line[0] for line in lines if line]
    return {key: stems for key, stems in lists.items() if stems}


def _read(file: Path) -> Annotation:
    """Return what an XML says.

    Raises:
        UserError: naming the file, and the object by its number, for what cannot be.
    """
    try:
        data = read_file(file)
        if re.search(rb"<!(DOCTYPE|ENTITY)", data):
            raise UserError(f"{file} declares entities, which no annotation has: remove it")
        tree = ElementTree.fromstring(data)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{file} is no XML: {error}; copy it again") from error
    height, width = (int(_number(file, tree, f"size/{side}")) for side in ("height", "width"))
    if min(height, width) < 1:
        raise UserError(f"{file}: size is {height} x {width}: write the height and width in pixels")
    corners, names, difficult = [], [], []
    for number, item in enumerate(tree.iterfind("object"), 1):
        where = f"{file}, object {number}"
        names.append((item.findtext("name") or "").strip())
        if not names[-1]:
            raise UserError(f"{where} has no name")
        corners.append([_number(where, item, f"bndbox/{corner}") for corner in CORNERS])
        difficult.append((item.findtext("difficult") or "0").strip() == "1")
    clipped = clip(np.array(corners).reshape(-1, 4) - [1, 1, 0, 0], (height, width))
    left_out = [
        f"{file}, object {place + 1}: {dict(zip(CORNERS, corners[place], strict=True))}"
        for place in np.flatnonzero(~clipped.kept).tolist()
    ]
    return Annotation(
        file.stem,
        Path((tree.findtext("filename") or "").strip()).name,
        (height, width),
        clipped.boxes,
        tuple(name for name, kept in zip(names, clipped.kept, strict=True) if kept),
        np.array(difficult, bool)[clipped.kept],
        clipped,
        tuple(left_out),
    )


def _number(where: Path | str, item: ElementTree.Element, name: str) -> float:
    text = (item.findtext(name) or "").strip()
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        found = f"'{text[:40]}'" if text else "missing"
        raise UserError(f"{where}: {name} is {found}, not a number")
    return value
