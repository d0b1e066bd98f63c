"""ROC figures show the curves that they are given, on both scales."""

import numpy as np

from cnnlab.plots import roc_curve


def test_curves_are_drawn_on_both_scales(tmp_path, monkeypatch):
    kept = []
    save = roc_curve._save
    monkeypatch.setattr(roc_curve, "_save", lambda f, p: (kept.append(f), save(f, p)))
    curves = {
        "triplet": (np.array([0, 0, 0.002, 1]), np.array([0, 0.5, 1, 1])),
        "perfect": (np.array([0.0, 0, 1]), np.array([0.0, 1, 1])),
    }
    roc_curve.roc_curves(curves, tmp_path / "roc.png", title="glyphs")
    (figure,) = kept
    linear, log = figure.axes
    assert (linear.get_xscale(), log.get_xscale()) == ("linear", "log")
    for axes in figure.axes:
        lines = {line.get_label(): line.get_xydata() for line in axes.lines}
        assert set(lines) == {"chance", "triplet", "perfect"}
        for name, curve in curves.items():
            np.testing.assert_array_equal(lines[name], np.stack(curve, axis=1))
        chance = lines["chance"]
        np.testing.assert_array_equal(chance[:, 0], chance[:, 1])
    assert log.get_xlim()[0] == 0.002
    assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")
