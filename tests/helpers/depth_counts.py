"""Counts of deep networks from shallow ones: each further unit of a stage adds the same."""

import functools

import numpy as np

from cnnlab import models
from cnnlab.analysis.summary import summarize


def counts(name):
    """Return parameters and multiply-adds of a model, traced with a unit or two in its stages."""
    architecture = models.MODELS[name]
    arguments = dict(architecture.arguments)
    depths = arguments.pop("depths")
    shape = (1, *architecture.input)
    one, more = shallow(architecture.module, shape, len(depths), tuple(arguments.items()))
    total = one + sum((d - 1) * m for d, m in zip(depths, more, strict=True))
    return tuple(total.tolist())


@functools.cache
def shallow(module, shape, stages, arguments):
    """Return the counts with one unit a stage, and what another one adds in each stage."""

    def traced(depths):
        total = summarize(module(**dict(arguments), depths=depths), shape, axes=()).total
        return np.array([total.parameters, total.macs])

    one = traced((1,) * stages)
    two = np.eye(stages, dtype=int) + 1
    return one, [traced(tuple(row.tolist())) - one for row in two]
