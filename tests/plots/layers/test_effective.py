"""The figure of effective receptive fields shows what was measured."""

import jax
import numpy as np
import pytest

from cnnlab.analysis.effective_receptive_field import gaussian_deviation
from cnnlab.plots.layers import effective


@pytest.fixture
def panels(monkeypatch):
    monkeypatch.setattr(effective, "DEPTHS", (1, 2, 3, 4, 6))
    monkeypatch.setattr(effective, "DILATIONS", (1, 2, 4))
    figure = effective.effective_figure(jax.random.key(0))
    return {axes.get_title(): axes for axes in figure.axes}


def test_figure_has_maps_section_and_both_growths(panels):
    assert set(panels) == {
        "4 layers of 3×3",
        "6 layers of 3×3",
        "6 layers, random, ReLU",
        "3 layers, dilations 1 to 4",
        "in the middle it is a Gaussian",
        "plain stacks grow like √n",
        "dilated stacks grow exponentially",
    }
    growth = panels["plain stacks grow like √n"]
    fit, measured, _ = growth.lines
    np.testing.assert_allclose(
        measured.get_ydata(), np.sqrt(2 / 3 * np.array([1, 2, 3, 4, 6])), rtol=1e-5
    )
    assert fit.get_label() == "0.816 √n"
    theory, found, plain = panels["dilated stacks grow exponentially"].lines
    np.testing.assert_allclose(found.get_ydata(), theory.get_ydata(), rtol=1e-5)
    assert plain.get_ydata()[-1] == pytest.approx(gaussian_deviation((1,) * 3))
    legend = panels["3 layers, dilations 1 to 4"].get_legend().get_texts()
    assert legend[0].get_text() == "theoretical: 15"
