"""`coco:/path`: objects in boxes, in the layout or in a file of COCO (Lin et al. 2014).

    /path/annotations/instances_SPLIT.json, /path/SPLIT/*.jpg      coco:/path, coco_masks:/path
    /path/annotations/person_keypoints_SPLIT.json, ...             coco_keypoints:/path
    /path/FILE.json, images beside it or in /path/images           coco:/path/FILE.json: `train`

    image      uint8 (h, w, 3)
    boxes      float32 (n, 4), [y0, x0, y1, x1], clipped to the image
    classes    int32 (n,), places among the sorted ids of categories; `category_ids` has these
    area       float32 (n,), as annotated, else of the box
    crowd      bool (n,), a group in one box
    masks      uint8 (n, h, w), of `coco_masks`
    keypoints  float32 (n, k, 3), (y, x, v), of `coco_keypoints`
    image_id   int32, of the file

Images without annotations are kept. Boxes without a pixel in their image are left out; how many,
and the first, is a warning when the set is opened.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cnnlab.data.preprocess.decode import decode
from cnnlab.data.sources import coco_shapes
from cnnlab.data.sources.coco_file import Picture, read
from cnnlab.data.sources.identity import file_ids
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.object_checks import Declared, check_declared, check_size
from cnnlab.data.sources.splits import resolve
from cnnlab.errors import MissingData, UserError
from cnnlab.utils.files import expand

FOLDER = "annotations"


class CocoSource:
    """Images with the boxes of their objects.

    Attributes:
        category_ids: the id in the file of every class.
    """

    kind, task = "coco", "instances"

    def __init__(self, path: str, split: str, *, exif: bool = True):
        """Read the annotations of the splits that are asked for.

        Raises:
            MissingData: there is no such folder or file.
            UserError: there are no annotations, a file cannot be read, or an entry cannot be; the
                message names file, image and annotation.
        """
        name = f"{self.kind}:{path}"
        self._exif = exif
        self._root, files = self._files(name, Path(expand(path)))
        used = {key for key in files if re.search(rf"(^|\+)\s*{re.escape(key)}\b", split)}
        tables = {key: read(*files[key]) for key in used}
        lengths = {key: [len(tables[key][1]) if key in used else 0] for key in files}
        ranges = resolve(split, lengths, name=name)
        categories = {tuple(tables[key][0]) for key, _, _ in ranges}
        if len(categories) > 1:
            raise UserError(f"{name}: the splits of '{split}' have other categories")
        chosen = sorted(categories.pop())
        self.category_ids = tuple(category.id for category in chosen)
        self._points = max(category.points for category in chosen)
        names = tuple(category.name for category in chosen)
        self._list = [tables[key][1][i] for key, start, stop in ranges for i in range(start, stop)]
        for key in sorted(used):
            self._check(files[key][0], tables[key][1])
        spec: dict[str, tuple[tuple[int | None, ...], str]] = {
            "image": ((None, None, 3), "uint8"),
            "boxes": ((None, 4), "float32"),
            "classes": ((None,), "int32"),
            "area": ((None,), "float32"),
            "crowd": ((None,), "bool"),
            "image_id": ((), "int32"),
            **self._more(),
        }
        self.info = Info(name, split, names, spec)

    def __len__(self) -> int:
        return len(self._list)

    def files(self) -> list[str]:
        """Return every image's file as it lies in the folder."""
        return [picture.place for picture in self._list]

    def ids(self) -> np.ndarray:
        """Return the identity of every image; see `cnnlab.data.sources.identity`."""
        return file_ids((self._root, picture.place) for picture in self._list)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        picture = self._list[index]
        declared = self._declared(picture)
        image = decode(declared.path, exif=self._exif, index=int(index))
        check_size(image, declared, index)
        arrays = {key: getattr(picture, key) for key in ("boxes", "classes", "area", "crowd")}
        number = np.asarray(picture.id, np.int32)
        return {"image": image, **arrays, "image_id": number, **self._read_more(picture)}

    def check(self) -> None:
        """Raise `CorruptImage` for an image that is missing or of another size by its head."""
        check_declared([self._declared(picture) for picture in self._list], self._exif)

    def _declared(self, picture: Picture) -> Declared:
        by = f"the annotations of image {picture.id} have"
        return Declared(self._root / picture.place, picture.size, by)

    def _files(self, name: str, path: Path) -> tuple[Path, dict[str, tuple[Path, str]]]:
        """Return the folder of the set, and of each split the file and the folder of its images."""
        layout = f"the layout is PATH/{FOLDER}/{self.task}_SPLIT.json and PATH/SPLIT/*.jpg"
        if path.suffix == ".json" and path.is_file():
            inner = "images" if (path.parent / "images").is_dir() else ""
            return path.parent, {"train": (path, inner)}
        if not path.is_dir():
            raise MissingData(f"{name}: there is no such folder or file; {layout}")
        found = sorted((path / FOLDER).glob(f"{self.task}_*.json"))
        if not found:
            raise UserError(f"{name} has no {FOLDER}/{self.task}_SPLIT.json; {layout}")
        splits = [file.stem.removeprefix(f"{self.task}_") for file in found]
        return path, {key: (file, key) for key, file in zip(splits, found, strict=True)}

    def _more(self) -> dict[str, tuple[tuple[int | None, ...], str]]:
        return {}

    def _check(self, file: Path, pictures: Sequence[Picture]) -> None:
        """Check what is read beside the boxes."""

    def _read_more(self, picture: Picture) -> dict[str, np.ndarray]:
        del picture
        return {}


class CocoMasks(CocoSource):
    """The same with a mask of each object."""

    kind = "coco_masks"

    def _more(self):
        return {"masks": ((None, None, None), "uint8")}

    def _check(self, file, pictures):
        coco_shapes.check_masks(file, pictures)

    def _read_more(self, picture):
        return {"masks": coco_shapes.masks(picture)}


class CocoKeypoints(CocoSource):
    """The same with the keypoints of each object."""

    kind, task = "coco_keypoints", "person_keypoints"

    def _more(self):
        return {"keypoints": ((None, self._points, 3), "float32")}

    def _check(self, file, pictures):
        coco_shapes.check_keypoints(file, pictures, self._points)

    def _read_more(self, picture):
        return {"keypoints": coco_shapes.keypoints(picture, self._points)}
