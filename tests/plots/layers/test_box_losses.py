"""The figure of boxes' losses shows the descents."""

import numpy as np

from cnnlab.analysis.box_descent import descend
from cnnlab.geometry.boxes import area
from cnnlab.plots.layers.box_losses import START, TARGET, box_losses_figure


def test_areas_on_the_way_are_those_of_the_descents():
    axes = box_losses_figure().axes
    lines = {line.get_label(): line.get_ydata() for line in axes[4].lines}
    np.testing.assert_allclose(lines["GIoU"], area(descend("GIoU", START, TARGET)))
    assert len({float(x) for x in lines["IoU"]}) == 1
