"""A file of COCO's annotations, checked: every fault is named by file, image and annotation."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32

from cnnlab.data.sources.object_checks import warn_left_out
from cnnlab.errors import UserError
from cnnlab.utils.files import parse_json, read_file

LOG = logging.getLogger(__name__)


class Category(NamedTuple):
    """A class: its id in the file, its name, and how many keypoints it has."""

    id: int
    name: str
    points: int


class Picture(NamedTuple):
    """An image of a file of annotations, and its objects."""

    id: int
    place: str
    size: tuple[int, int]
    boxes: Float32[np.ndarray, "n 4"]
    classes: Int32[np.ndarray, "n"]
    area: Float32[np.ndarray, "n"]
    crowd: Bool[np.ndarray, "n"]
    annotations: tuple[Mapping[str, Any], ...]


def read(file: Path, folder: str) -> tuple[list[Category], list[Picture]]:
    """Return the categories and the images of a file.

    Args:
        file: of annotations.
        folder: of its images, in front of their names.

    Raises:
        UserError: the file cannot be read or is of another task, an id is there twice, or an
            annotation is of an image or a category that is not.
    """
    content = parse_json(_bytes(file), dict, file, "copy it again")
    tables = ("images", "annotations", "categories")
    lacking = [key for key in tables if not isinstance(content.get(key), list)]
    if lacking:
        raise UserError(
            f"{file} has no '{lacking[0]}': annotations of instances or keypoints are needed, with "
            + ", ".join(tables)
        )
    try:
        categories = [
            Category(item["id"], str(item["name"]), len(item.get("keypoints", ())))
            for item in content["categories"]
        ]
        pictures = {item["id"]: item for item in content["images"]}
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{file}: an image or a category has no id or name ({error})") from error
    for key, what in zip(tables, ("image", "annotation", "category"), strict=True):
        _check_ids(file, what, content[key])
    if not categories:
        raise UserError(f"{file} declares no categories")
    classes = {category.id: place for place, category in enumerate(sorted(categories))}
    objects: dict[int, list] = {number: [] for number in pictures}
    for item in content["annotations"]:
        where = f"{file}, image {item.get('image_id')}, annotation {item.get('id')}"
        if item.get("image_id") not in pictures:
            raise UserError(f"{where}: there is no such image")
        if item.get("category_id") not in classes:
            raise UserError(f"{where}: category {item.get('category_id')} is not declared")
        objects[item["image_id"]].append((where, item))
    report = _Report(file)
    found = [
        _picture(item, folder, objects[number], classes, report)
        for number, item in pictures.items()
    ]
    report.warn()
    return categories, found


def _bytes(file: Path) -> bytes:
    try:
        return read_file(file)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error


def _check_ids(file: Path, what: str, rows: Sequence[Mapping[str, Any]]) -> None:
    seen: set[Any] = set()
    for row in rows:
        number = row.get("id") if isinstance(row, Mapping) else None
        if number in seen or not isinstance(number, int):
            state = "twice" if number in seen else "no number"
            raise UserError(f"{file}: the id {number!r} of an {what} is there {state}")
        seen.add(number)


class _Report:
    """What is said of a file at its end: boxes left out, and boxes of another format."""

    def __init__(self, file: Path):
        self.file, self.total, self.beyond = file, 0, 0
        self.empty: list[str] = []

    def warn(self) -> None:
        warn_left_out(self.file, self.empty)
        if self.beyond > self.total / 2:
            LOG.warning(
                "%s: %d of %d boxes end outside of their image: COCO's are [x, y, width, height], "
                "these may be corners",
                *(self.file, self.beyond, self.total),
            )


def _picture(
    item: Mapping[str, Any],
    folder: str,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    classes: Mapping[int, int],
    report: _Report,
) -> Picture:
    where = f"{report.file}, image {item['id']}"
    try:
        height, width, name = int(item["height"]), int(item["width"]), str(item["file_name"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{where}: no height, width or file_name ({error})") from error
    clipped, kept = [], []
    for place, row in rows:
        x, y, w, h = _numbers(place, row.get("bbox"))
        report.total += 1
        report.beyond += x + w > width + 1 or y + h > height + 1
        box = np.clip([y, x, y + h, x + w], 0, [height, width, height, width])
        if w <= 0 or h <= 0 or (box[2:] <= box[:2]).any():
            report.empty.append(f"{place}: [x, y, width, height] = {row['bbox']}")
            continue
        clipped.append(box)
        kept.append(row)
    boxes = np.array(clipped, np.float32).reshape(-1, 4)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    given = [row.get("area") or own for row, own in zip(kept, area.tolist(), strict=True)]
    return Picture(
        item["id"],
        f"{folder}/{name}" if folder else name,
        (height, width),
        boxes,
        np.array([classes[row["category_id"]] for row in kept], np.int32),
        np.array(given, np.float32),
        np.array([bool(row.get("iscrowd")) for row in kept], bool),
        tuple(kept),
    )


def _numbers(where: str, box: Any) -> list[float]:
    try:
        values = [float(x) for x in box]
    except (TypeError, ValueError):
        values = []
    if len(values) != 4 or not np.isfinite(values).all():
        raise UserError(f"{where}: bbox is {str(box)[:60]}, not four numbers")
    return values
