"""The sheet of mistakes shows the images that were taken wrong, the most confident first."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.metrics.classification import Confusion
from cnnlab.plots import classification_figures
from cnnlab.training.evaluation import Evaluation


def test_mistakes_are_drawn_with_the_image_that_was_taken_wrong(monkeypatch):
    drawn = {}

    def sheet(images, captions, *, title):
        drawn.update(images=images, captions=captions, title=title)

    monkeypatch.setattr("cnnlab.plots.run_figures.image_sheet", sheet)
    outputs = {
        "logits": np.array([[5.0, 0], [0, 1], [3.0, 0], [0, 9.0]], np.float32),
        "label": np.array([0, 0, 1, 1]),
        "index": np.array([10, 11, 12, 13]),
    }
    source = {i: {"image": f"image {i}"} for i in range(20)}
    scores = np.asarray(jax.nn.softmax(outputs["logits"]))
    classification_figures.mistakes(scores, outputs["label"], outputs, source, ("a", "b"))
    # Most confident first: 12 with 95 %, then 11 with 73 %.
    assert drawn["images"] == ["image 12", "image 11"]
    assert drawn["captions"] == ["b\n→ a\n95%", "a\n→ b\n73%"]
    assert drawn["title"].startswith("2 of 4 wrong")


@pytest.mark.parametrize(
    ("of", "head"), [("", "pets, test"), ("own, step 50", "own, step 50\npets, test")]
)
def test_titles_name_run_and_checkpoint_where_they_are_known(tmp_path, monkeypatch, of, head):
    titles = {}
    monkeypatch.setattr(
        classification_figures.style,
        "save",
        lambda figure, path: titles.update(
            {path.name: figure.get_suptitle() or figure.axes[0].get_title()}
        ),
    )
    logits, labels = np.eye(2, dtype=np.float32)[[0] * 2000], np.arange(2000) % 2
    outputs = {"logits": logits, "label": labels, "index": np.arange(2000)}
    confusion = Confusion.of(jnp.asarray(logits), jnp.asarray(labels))
    info = types.SimpleNamespace(name="pets", split="test", output_names=lambda count: "ab")

    class Source:
        keys = ("image", "label")

        def __getitem__(self, index):
            return {"image": np.zeros((4, 4, 1), np.uint8)}

    source = Source()
    source.info = info
    evaluation = Evaluation({"confusion": confusion}, outputs, of=of)
    classification_figures.draw(evaluation, source, tmp_path, "label", lambda x: x)
    wrong = "1,000 of 2,000 wrong: true → predicted, most confident first"
    assert titles == {
        "confusion_matrix.png": f"{head}: 1,000 of 2,000 right (50.00%)",
        "misclassified.png": f"{head}: {wrong}",
    }
