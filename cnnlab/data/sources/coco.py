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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.data.preprocess.decode import CorruptImage, decode
from cnnlab.data.sources.coco_file import Picture, read
from cnnlab.data.sources.identity import file_ids
from cnnlab.data.sources.info import Info
from cnnlab.data.sources.object_checks import check_size
from cnnlab.data.sources.splits import resolve
from cnnlab.errors import MissingData, UserError
from cnnlab.geometry import run_length
from cnnlab.utils.files import expand

FOLDER = "annotations"


class CocoSource:
    """Images with the boxes of their objects.

    Attributes:
        category_ids: the id in the file of every class.
    """

    kind, task = "coco", "instances"

    def __init__(self, path: str, split: str):
        """Read the annotations of the splits that are asked for.

        Raises:
            MissingData: there is no such folder or file.
            UserError: there are no annotations, a file cannot be read, or an entry cannot be; the
                message names file, image and annotation.
        """
        name = f"{self.kind}:{path}"
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
        path = self._root / picture.place
        image = decode(path, index=int(index))
        check_size(image, picture.size, path, index, "the annotations")
        arrays = {key: getattr(picture, key) for key in ("boxes", "classes", "area", "crowd")}
        number = np.asarray(picture.id, np.int32)
        return {"image": image, **arrays, "image_id": number, **self._read_more(picture, index)}

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

    def _read_more(self, picture: Picture, index: int) -> dict[str, np.ndarray]:
        del picture, index
        return {}


class CocoMasks(CocoSource):
    """The same with a mask of each object."""

    kind = "coco_masks"

    def _more(self):
        return {"masks": ((None, None, None), "uint8")}

    def _read_more(self, picture, index):
        path = str(self._root / picture.place)
        masks = [_mask(path, index, item, picture.size) for item in picture.annotations]
        return {"masks": np.array(masks, np.uint8).reshape(-1, *picture.size)}


class CocoKeypoints(CocoSource):
    """The same with the keypoints of each object."""

    kind, task = "coco_keypoints", "person_keypoints"

    def _more(self):
        return {"keypoints": ((None, self._points, 3), "float32")}

    def _read_more(self, picture, index):
        rows = [item.get("keypoints", ()) for item in picture.annotations]
        if any(len(row) != 3 * self._points for row in rows):
            reason = f"an object has no {self._points} keypoints of three numbers"
            raise CorruptImage(str(self._root / picture.place), int(index), reason)
        points = np.array(rows, np.float32).reshape(-1, self._points, 3)
        return {"keypoints": points[..., [1, 0, 2]]}


def _mask(path: str, index: int, item: Mapping[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Return the mask of an annotation: polygons, run lengths, or their text."""
    shape = item.get("segmentation")
    try:
        if isinstance(shape, Mapping):
            counts = shape["counts"]
            counts = run_length.from_text(counts) if isinstance(counts, str) else np.array(counts)
            return run_length.decode(counts.astype(np.int64), tuple(shape["size"]))
        polygons = [np.array(p, float).reshape(-1, 2)[:, ::-1] for p in shape or ()]
        return run_length.from_polygons(polygons, size)
    except (UserError, ValueError, KeyError, TypeError) as error:
        reason = f"annotation {item.get('id')}: its segmentation: {error}"
        raise CorruptImage(path, int(index), reason) from error
