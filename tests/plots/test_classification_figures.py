"""The sheet of mistakes shows the images that were taken wrong, the most confident first."""

import jax
import numpy as np

from cnnlab.plots import classification_figures


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
