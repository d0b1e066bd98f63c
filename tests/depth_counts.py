"""Counts of deep networks from shallow ones: each further unit of a stage adds the same."""

import functools

import numpy as np

from cnnlab import models
from cnnlab.analysis.summary import summarize


def counts(name, start):
    """Return parameters and multiply-adds of a model, traced with `start` units in its stages.

    What another unit of a stage adds is that of one unit more where each stage has one.
    """
    arguments = dict(models.MODELS[name].arguments)
    depths = arguments.pop("depths")
    total = traced(name, tuple(arguments.items()), start)
    ones = np.ones(len(depths), int)
    for i, (more, few) in enumerate(zip(depths, start, strict=True)):
        if more != few:
            two = tuple((ones + np.eye(len(depths), dtype=int)[i]).tolist())
            both = (traced(name, tuple(arguments.items()), d) for d in (two, tuple(ones.tolist())))
            total = total + (more - few) * np.subtract(*both)
    return tuple(total.tolist())


def traced(name, arguments, depths):
    architecture = models.MODELS[name]
    return _traced(architecture.module, (1, *architecture.input), arguments, depths)


@functools.cache
def _traced(module, shape, arguments, depths):
    total = summarize(module(**dict(arguments), depths=depths), shape, axes=()).total
    return np.array([total.parameters, total.macs])
