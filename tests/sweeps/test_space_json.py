"""Spaces survive JSON: what is restored is equal, tuples and the order of keys included."""

import json

from cnnlab.sweeps import space as sp
from cnnlab.sweeps.space_json import describe, restore


def test_space_is_the_same_after_json():
    space = sp.product(
        sp.grid({"z": (1, True, "x", None), "a": ((1, (2,)), ())}),
        sp.zipped({"kind": (0.1, 1e-9), "items": ({"b": {}}, {"a": (1,)})}),
        sp.draws(
            {
                "u": sp.uniform(0, 1),
                "l": sp.log_uniform(1, 2),
                "i": sp.integers(1, 9, log=True),
                "c": sp.choice((1, 2), "x"),
            },
            count=3,
            seed=4,
        ),
    )
    again = restore(json.loads(json.dumps(describe(space))))
    assert again == space
    assert again.points() == space.points()
    assert list(again.points()[0]) == list(space.points()[0])
