"""Pictures of a representation: each point with its own image."""

import numpy as np
import small
from PIL import Image

from cnnlab.runs import representation_report


def test_thumbnails_belong_to_their_points_where_files_are_skipped(tmp_path, monkeypatch):
    for part in ("train", "test"):
        for number, name in enumerate(("cat", "dog")):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(10):
                image = Image.new("RGB", (4, 4), (20 * i + 10 * number,) * 3)
                image.save(tmp_path / part / name / f"{i}.png")
    for broken in ("cat/0.png", "dog/3.png", "cat/7.png"):
        (tmp_path / "test" / broken).write_bytes(b"no image")
    run = small.build(
        small.config(
            data__source=f"folder:{tmp_path}",
            data__on_corrupt="skip",
            data__eval__splits={"validation": "train", "test": "test"},
            model__num_classes=2,
            representation__embedding_view__split="test",
            representation__embedding_view__endpoint="embedding",
            representation__embedding_view__projector=True,
            representation__embedding_view__limit=15,
        )
    )
    seen = {}
    monkeypatch.setattr(
        representation_report,
        "write_projector",
        lambda folder, name, features, keys, images, **_: seen.update(
            features=features, images=images, label=keys["label"]
        ),
    )
    representation_report.draw(run, (run.state.params, run.state.model_state), [], tmp_path)
    assert len(seen["images"]) == 15
    pixels = seen["images"].astype(np.float32) / 255
    output, _ = run.experiment.model.apply({"params": run.state.params}, pixels)
    np.testing.assert_allclose(seen["features"], output, atol=1e-5)
    np.testing.assert_array_equal(seen["label"], seen["images"][:, 0, 0, 0] % 20 // 10)
    assert (run.evaluations["test"].count, run.evaluations["test"].skipped()) == (17, 3)
