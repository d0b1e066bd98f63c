"""A file of COCO's annotations, checked: every fault is named by file, image and annotation."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32

from cnnlab.data.sources.object_checks import Clipped, clip, warn
from cnnlab.errors import UserError
from cnnlab.geometry.boxes import from_xywh
from cnnlab.utils.files import parse_json, read_file

LOG = logging.getLogger(__name__)
TABLES = ("images", "annotations", "categories")
FORM = "COCO's are [x, y, width, height] in pixels"


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
    content = parse_json(_bytes(file), (dict, list), file, "copy it again")
    lacking = [k for k in TABLES if not (isinstance(content, dict) and _is_table(content.get(k)))]
    if lacking:
        has = ", ".join(map(str, content)) if isinstance(content, dict) else "a list"
        raise UserError(
            f"{file} has no '{lacking[0]}', it has: {has[:80]}; annotations of instances or "
            f"keypoints are needed, with {', '.join(TABLES)}"
        )
    for key, what in zip(TABLES, ("image", "annotation", "category"), strict=True):
        _check_ids(file, what, content[key])
    if not content["images"]:
        raise UserError(f"{file} has no images")
    categories = [_category(file, item) for item in content["categories"]]
    if not categories:
        raise UserError(f"{file} declares no categories")
    classes = {category.id: place for place, category in enumerate(sorted(categories))}
    objects: dict[int, list] = {item["id"]: [] for item in content["images"]}
    for item in content["annotations"]:
        image, category = (_whole(item.get(key)) for key in ("image_id", "category_id"))
        where = f"{file}, image {image}, annotation {item['id']}"
        if image not in objects:
            raise UserError(f"{where}: there is no such image")
        if category not in classes:
            raise UserError(f"{where}: category {category} is not declared")
        objects[image].append((where, item))
    left_out: list[str] = []
    found = [
        _picture(file, item, folder, objects[item["id"]], classes, left_out)
        for item in content["images"]
    ]
    pictures = [picture for picture, _ in found]
    warn(file, [clipped for _, clipped in found], left_out, FORM)
    crowd = np.concatenate([picture.crowd for picture in pictures])
    if crowd.size and crowd.all():
        LOG.warning("%s: all %d objects are crowds, which train no detector", file, len(crowd))
    return categories, pictures


def _bytes(file: Path) -> bytes:
    try:
        return read_file(file)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _whole(value: Any) -> int | None:
    """Return an id, None for what is none."""
    return value if type(value) is int else None


def _check_ids(file: Path, what: str, rows: Sequence[Mapping[str, Any]]) -> None:
    seen: set[int] = set()
    for place, row in enumerate(rows):
        number = _whole(row.get("id"))
        if number is None or not 0 <= number < 2**63:
            raise UserError(
                f"{file}: {what} number {place} has the id {str(row.get('id'))[:40]!r}, wanted a "
                "whole number"
            )
        if number in seen:
            raise UserError(f"{file}: the id {number} is that of two {what}s or more")
        seen.add(number)


def _category(file: Path, item: Mapping[str, Any]) -> Category:
    points = item.get("keypoints", ())
    if not isinstance(item.get("name"), str) or not isinstance(points, list | tuple):
        raise UserError(f"{file}, category {item['id']}: no name, or keypoints that are no list")
    return Category(item["id"], item["name"], len(points))


def _picture(
    file: Path,
    item: Mapping[str, Any],
    folder: str,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    classes: Mapping[int, int],
    left_out: list[str],
) -> tuple[Picture, Clipped]:
    where = f"{file}, image {item['id']}"
    height, width = (_whole(item.get(key)) or 0 for key in ("height", "width"))
    size, name = (height, width), item.get("file_name")
    if not isinstance(name, str) or not name or min(size) < 1:
        raise UserError(f"{where}: no height, width or file_name; sides are whole numbers above 0")
    if item["id"] >= 2**31:
        raise UserError(f"{where}: ids of images are below 2^31, number them anew")
    numbers = [numbers_of(place, "bbox", row.get("bbox"), 4) for place, row in rows]
    clipped = clip(np.asarray(from_xywh(np.array(numbers, float).reshape(-1, 4))), size)
    for (place, row), kept in zip(rows, clipped.kept, strict=True):
        if not kept:
            left_out.append(f"{place}: [x, y, width, height] = {row['bbox']}")
    kept = [row for row, kept in zip(rows, clipped.kept, strict=True) if kept]
    areas = (clipped.boxes[:, 2:] - clipped.boxes[:, :2]).prod(axis=1)
    given = [
        numbers_of(place, "area", [row["area"]], 1)[0] if row.get("area") else own
        for (place, row), own in zip(kept, areas.tolist(), strict=True)
    ]
    picture = Picture(
        item["id"],
        f"{folder}/{name}" if folder else name,
        size,
        clipped.boxes,
        np.array([classes[row["category_id"]] for _, row in kept], np.int32),
        np.array(given, np.float32),
        np.array([bool(row.get("iscrowd")) for _, row in kept], bool),
        tuple(row for _, row in kept),
    )
    return picture, clipped


def numbers_of(where: str, key: str, value: Any, count: int) -> list[float]:
    """Return the numbers of an entry; raise a `UserError` if it has not `count` finite ones."""
    try:
        values = [float(x) for x in value] if isinstance(value, list) else []
    except (TypeError, ValueError, OverflowError):
        values = []
    if len(values) != count or not np.isfinite(values).all():
        shown = "missing" if value is None else str(value)[:60]
        wanted = f"{count} numbers" if count > 1 else "a number"
        raise UserError(f"{where}: {key} is {shown}, not {wanted}")
    return values
