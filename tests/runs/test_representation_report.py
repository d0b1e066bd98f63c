"""Pictures of a representation: each point with its own image."""

import numpy as np
import small
from matplotlib.figure import Figure
from PIL import Image

from cnnlab.runs import representation_report
from cnnlab.training.representation_eval import Row


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


def test_roc_curves_are_of_every_row_and_of_each_protocol_alone(tmp_path, monkeypatch):
    drawn = {}

    def keep(curves, title):
        drawn[title] = curves
        return Figure()

    monkeypatch.setattr(representation_report, "roc_curves", keep)

    def row(encoder, protocol, value):
        curve = np.array([0.0, value, 1.0]), np.array([0.0, 0.5, 1.0])
        return Row(encoder, protocol, "test", "features", "", {}, {"roc": curve})

    control = tmp_path / "supervised"
    representation_report.draw_roc([row("trained", "verification", 0.25)], control, "glyphs")
    made = [row(e, p, 0.5) for e in ("trained", "pixels") for p in ("verification", "faces")]
    representation_report.draw_roc(made, tmp_path, "glyphs", supervised=True)
    curves = drawn[f"{tmp_path.name}: glyphs, test: verification"]
    encoders = ["trained", "pixels", "supervised"]
    assert list(curves) == [(encoder, "features") for encoder in encoders]
    # That of the control as its own run has it.
    np.testing.assert_array_equal(curves["supervised", "features"][0], [0, 0.25, 1])
    assert list(drawn[f"{tmp_path.name}: glyphs, test: faces"]) == [
        (e, "features") for e in encoders[:2]
    ]
    names = {path.name for path in (tmp_path / "figures" / "test").iterdir()}
    assert {"roc.png", "roc_faces.png"} < names


def test_columns_stand_in_the_order_of_the_protocol(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    values = {"recall@1": 0.5, "recall@5": 0.6, "recall@10": 0.7, "map@r": 0.4, "collapsed": 0.0}
    row = {"encoder": "trained", "protocol": "retrieval", "split": "test", "endpoint": "features"}
    representation_report.show([{**row, "setting": "cosine", "values": values}])
    out = capsys.readouterr().out
    heading = next(line for line in out.splitlines() if "recall@1" in line)
    assert heading.split() == ["recall@1", "recall@5", "recall@10", "map@r"]


def test_a_later_evaluation_of_a_checkpoint_keeps_the_curves_of_other_endpoints(tmp_path):
    x = np.linspace(0, 1, 5)

    def draw(endpoint, setting, power):
        row = Row("step 50", "verification", "test", endpoint, setting, {}, {"roc": (x, x**power)})
        under = "figures/step_50"
        representation_report.draw_roc([row], tmp_path, "glyphs", under=under, keep=True)
        return dict(np.load(tmp_path / under / "test" / "roc.npz"))

    draw("embedding", "cosine", 0.5)
    draw("logits", "cosine", 0.25)
    draw("logits", "euclidean", 0.3)
    # The same setting again has its new curve.
    kept = draw("logits", "cosine", 0.125)
    assert {key.partition("/")[2] for key in kept} == {
        "embedding/cosine",
        "logits/cosine",
        "logits/euclidean",
    }
    np.testing.assert_allclose(kept["step 50/embedding/cosine"], [x, x**0.5], atol=1e-6)
    np.testing.assert_allclose(kept["step 50/logits/cosine"], [x, x**0.125], atol=1e-6)


def test_all_kept_curves_are_drawn_and_settings_named_where_there_are_several(
    tmp_path, monkeypatch
):
    drawn = []

    def keep(curves, title):
        drawn.append(list(curves))
        return Figure()

    monkeypatch.setattr(representation_report, "roc_curves", keep)
    x = np.linspace(0, 1, 5)
    for endpoint, setting in (("embedding", "cosine"), ("logits", "a"), ("logits", "b")):
        row = Row("step 50", "verification", "test", endpoint, setting, {}, {"roc": (x, x)})
        representation_report.draw_roc([row], tmp_path, "glyphs", keep=True)
    assert [endpoint for _, endpoint in drawn[1]] == ["embedding", "logits"]
    assert [endpoint for _, endpoint in drawn[2]] == ["embedding", "logits, a", "logits, b"]
