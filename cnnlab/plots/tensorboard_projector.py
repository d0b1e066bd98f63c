"""Files of TensorBoard's embedding projector: points to turn in space, with labels and images.

In the folder given to `tensorboard --logdir`: `projector_config.pbtxt` names for each embedding
its table of numbers, its table of keys, and a sheet with a small image of each point. They are
plain files, so neither TensorFlow nor TensorBoard is needed to write them.

Shapes: features [n, d], images [n, h, w, c].
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from cnnlab.errors import UserError
from cnnlab.utils.files import open_file, read_tail

# TensorBoard shows no sheet larger than this.
SHEET = 8192
CONFIG = "projector_config.pbtxt"


def write_projector(
    folder: Path,
    name: str,
    features: Float[np.ndarray, "n d"],
    keys: Mapping[str, np.ndarray],
    *,
    images: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    limit: int = 10_000,
) -> None:
    """Write or replace one embedding; others that the folder holds stay.

    Args:
        folder: what TensorBoard is pointed at, a run's folder.
        name: of the embedding, letters, digits, "_", "-" and ".".
        features: one row a point.
        keys: values [n] by name; "label" comes first and is what points are colored by.
        images: [n, h, w, 1 or 3], uint8 or floats in [0, 1]; None: points without images.
        class_names: written in place of the label's number.
        limit: only the first so many rows are written: the browser holds them all.

    Raises:
        UserError: the name has other characters, or keys or images are not one a row.
    """
    if not re.fullmatch(r"[\w.-]+", name):
        raise UserError(f"an embedding's name has letters, digits, '_', '-' and '.': '{name}'")
    lengths = {key: len(values) for key, values in keys.items()}
    if images is not None:
        lengths["images"] = len(images)
    for key, length in lengths.items():
        if length != len(features):
            raise UserError(f"'{key}' has {length} entries for {len(features)} embeddings")
    folder.mkdir(parents=True, exist_ok=True)
    features = features[:limit]
    with open_file(folder / f"{name}_tensors.tsv", "w") as file:
        np.savetxt(file, features, fmt="%.7g", delimiter="\t")
    entry = [f'tensor_name: "{name}"', f'tensor_path: "{name}_tensors.tsv"']
    if keys:
        metadata = folder / f"{name}_metadata.tsv"
        with open_file(metadata, "w", encoding="utf-8", errors="replace") as file:
            file.write(_table(keys, class_names, limit))
        entry.append(f'metadata_path: "{name}_metadata.tsv"')
    if images is not None:
        sheet, side = sprite(images[:limit])
        with open_file(folder / f"{name}_sprite.png", "wb") as file:
            Image.fromarray(sheet).save(file, format="png")
        entry.append(
            f'sprite {{\n    image_path: "{name}_sprite.png"\n'
            f"    single_image_dim: {side}\n    single_image_dim: {side}\n  }}"
        )
    config = folder / CONFIG
    others = read_tail(config) if config.exists() else ""
    kept = [
        e
        for e in re.findall(r"^embeddings \{.*?^\}\n", others, re.M | re.S)
        if f'tensor_name: "{name}"\n' not in e
    ]
    body = "".join(f"  {line}\n" for line in entry)
    with open_file(config, "w") as file:
        file.write("".join(kept) + f"embeddings {{\n{body}}}\n")


def sprite(images: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a square sheet of images, row by row, and the side of one.

    TensorBoard takes only square ones: others stand in the upper left of a black square. Images
    are reduced by whole factors until the sheet is small enough.

    Args:
        images: [n, h, w, 1 or 3], uint8 or floats in [0, 1].

    Returns:
        The sheet [k * side, k * side, 3], uint8, black where there is no image; the side.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise UserError(f"images of a projector are [n, h, w, 1 or 3]: {images.shape}")
    row = int(np.ceil(len(images) ** 0.5))
    step = -(-row * max(images.shape[1:3]) // SHEET)
    images = images[:, ::step, ::step]
    if images.dtype != np.uint8:
        images = np.round(np.clip(images, 0, 1) * 255).astype(np.uint8)
    number, height, width, _ = images.shape
    side = max(height, width)
    sheet = np.zeros((row * row, side, side, 3), np.uint8)
    sheet[:number, :height, :width] = images
    sheet = sheet.reshape(row, row, side, side, 3).transpose(0, 2, 1, 3, 4)
    return sheet.reshape(row * side, row * side, 3), side


def _table(keys: Mapping[str, np.ndarray], class_names: Sequence[str], limit: int) -> str:
    """Return the table of keys: a header unless there is one column, as TensorBoard has it."""
    names = sorted(keys, key=lambda key: (key != "label", key))
    columns = []
    for name in names:
        words = [str(value) for value in keys[name][:limit].tolist()]
        if name == "label" and class_names:
            known = dict(enumerate(class_names))
            words = [str(known.get(value, value)) for value in keys[name][:limit].tolist()]
        columns.append([re.sub(r"\s", " ", word) for word in words])
    lines = [names] if len(names) > 1 else []
    lines += [list(row) for row in zip(*columns, strict=True)]
    return "".join("\t".join(line) + "\n" for line in lines)
