"""Projector files, read back as TensorBoard reads them."""

import re

import numpy as np
import pytest
from PIL import Image

from cnnlab.errors import UserError
from cnnlab.plots import tensorboard_projector
from cnnlab.plots.tensorboard_projector import sprite, write_projector

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 3)).astype(np.float32)
LABELS = np.array([2, 0, 1, 1, 0, 2, 2])


def read(folder):
    """Return the entries of the configuration by name."""
    text = (folder / "projector_config.pbtxt").read_text()
    entries = {}
    for body in re.findall(r"embeddings \{\n(.*?)\n\}\n", text, re.S):
        fields = dict(re.findall(r'(\w+): "(.*?)"', body))
        fields["size"] = [int(v) for v in re.findall(r"single_image_dim: (\d+)", body)]
        entries[fields["tensor_name"]] = fields
    return entries


def schema():
    """Return the messages of TensorBoard's projector_config.proto, as far as they are used."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="projector.proto", package="p")
    fields = {
        "SpriteMetadata": (("image_path", 1, "STRING"), ("single_image_dim", 2, "UINT32")),
        "EmbeddingInfo": (
            ("tensor_name", 1, "STRING"),
            ("metadata_path", 2, "STRING"),
            ("sprite", 5, "SpriteMetadata"),
            ("tensor_path", 6, "STRING"),
        ),
        "ProjectorConfig": (("embeddings", 2, "EmbeddingInfo"),),
    }
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for member, number, kind in members:
            several = member in ("single_image_dim", "embeddings")
            field = message.field.add(name=member, number=number, label=3 if several else 1)
            if kind in fields:
                field.type, field.type_name = field.TYPE_MESSAGE, f".p.{kind}"
            else:
                field.type = getattr(field, f"TYPE_{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("p.ProjectorConfig"))()


def test_the_configuration_is_one_that_tensorboard_parses(tmp_path):
    from google.protobuf import text_format

    images = RNG.integers(256, size=(7, 4, 6, 3), dtype=np.uint8)
    write_projector(tmp_path, "features", X, {"label": LABELS}, images=images)
    write_projector(tmp_path, "pixels", X, {})
    text = (tmp_path / "projector_config.pbtxt").read_text()
    first, second = text_format.Parse(text, schema()).embeddings
    assert (first.tensor_name, first.tensor_path) == ("features", "features_tensors.tsv")
    assert first.metadata_path == "features_metadata.tsv"
    assert list(first.sprite.single_image_dim) == [6, 6]
    assert first.sprite.image_path == "features_sprite.png"
    assert second.tensor_name == "pixels" and not second.metadata_path


def test_numbers_and_keys_come_back(tmp_path):
    keys = {"alphabet": np.arange(7), "label": LABELS}
    names = ["zero", "o\tne", "two"]
    write_projector(tmp_path / "run", "embedding", X, keys, class_names=names)
    (entry,) = read(tmp_path / "run").values()
    got = np.loadtxt(tmp_path / "run" / entry["tensor_path"], delimiter="\t")
    np.testing.assert_allclose(got, X, rtol=1e-6)
    lines = (tmp_path / "run" / entry["metadata_path"]).read_text().splitlines()
    # Several columns have a header; the label comes first.
    assert lines[0] == "label\talphabet"
    assert lines[1:4] == ["two\t0", "zero\t1", "o ne\t2"] and len(lines) == 8


def test_one_column_has_no_header(tmp_path):
    write_projector(tmp_path, "embedding", X, {"label": LABELS}, limit=4)
    lines = (tmp_path / "embedding_metadata.tsv").read_text().splitlines()
    assert lines == ["2", "0", "1", "1"]
    assert len((tmp_path / "embedding_tensors.tsv").read_text().splitlines()) == 4


def test_writing_again_replaces_and_leaves_the_others(tmp_path):
    for name in ("features", "pixels", "features"):
        write_projector(tmp_path, name, X, {"label": LABELS})
    write_projector(tmp_path, "features", X[:5], {})
    assert list(read(tmp_path)) == ["pixels", "features"]
    assert "metadata_path" not in read(tmp_path)["features"]


def test_images_stand_row_by_row_in_a_square(tmp_path):
    images = RNG.random((5, 2, 3, 1)).astype(np.float32)
    write_projector(tmp_path, "a", X[:5], {}, images=images)
    (entry,) = read(tmp_path).values()
    sheet = np.asarray(Image.open(tmp_path / entry["image_path"]))
    assert sheet.shape == (9, 9, 3) and entry["size"] == [3, 3]
    for number in range(9):
        row, column = divmod(number, 3)
        cell = sheet[3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
        want = np.zeros((3, 3, 1))
        if number < 5:
            want[:2] = np.round(images[number] * 255)
        assert (cell == want).all()


def test_a_sheet_that_would_be_too_large_has_smaller_images(monkeypatch):
    monkeypatch.setattr(tensorboard_projector, "SHEET", 20)
    images = RNG.integers(256, size=(9, 16, 8, 1), dtype=np.uint8)
    sheet, side = sprite(images)
    # Three of 16 in a column: every third pixel, 6 of 16.
    assert side == 6 and sheet.shape == (18, 18, 3)
    assert (sheet[:6, :3, 0] == images[0, ::3, ::3, 0]).all()


@pytest.mark.parametrize(
    ("name", "keys", "images", "message"),
    [
        ("a b", {}, None, "an embedding's name has letters"),
        ("a", {"label": LABELS[:3]}, None, "'label' has 3 entries for 7 embeddings"),
        ("a", {}, np.zeros((2, 4, 4, 3)), "'images' has 2 entries for 7"),
        ("a", {}, np.zeros((7, 4, 4, 2)), r"are \[n, h, w, 1 or 3\]: \(7, 4, 4, 2\)"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, keys, images, message):
    with pytest.raises(UserError, match=message):
        write_projector(tmp_path, name, X, keys, images=images)
