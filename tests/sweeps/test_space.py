"""Spaces: which points they have, in which order, and what a search may choose in them."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.sweeps import space as sp


def test_grid_has_every_combination_and_the_last_key_changes_fastest():
    grid = sp.grid({"a": (1, 2), "b.c": ["x", "y", "z"]})
    assert [tuple(p.values()) for p in grid.points()] == [
        (1, "x"),
        (1, "y"),
        (1, "z"),
        (2, "x"),
        (2, "y"),
        (2, "z"),
    ]
    assert all(list(p) == ["a", "b.c"] for p in grid.points())


def test_zipped_takes_values_that_belong_together():
    zipped = sp.zipped({"name": ("sgd", "adam"), "rate": (0.1, 0.001)})
    assert zipped.points() == [{"name": "sgd", "rate": 0.1}, {"name": "adam", "rate": 0.001}]
    with pytest.raises(UserError, match="as many values each, not: name 2, rate 1"):
        sp.zipped({"name": ("sgd", "adam"), "rate": (0.1,)})


def test_draws_are_the_same_for_a_seed_and_a_longer_list_begins_with_them():
    distributions = {"a": sp.log_uniform(1e-4, 1.0), "b": sp.choice(1, 2, 3)}
    points = sp.draws(distributions, count=5, seed=7).points()
    assert len(points) == 5
    assert sp.draws(distributions, count=8, seed=7).points()[:5] == points
    assert sp.draws(distributions, count=5, seed=8).points() != points


def test_product_and_chain_combine_spaces_and_lists():
    first = sp.zipped({"name": ("sgd", "adam"), "rate": (0.1, 0.001)})
    product = sp.product(first, sp.grid({"seed": (0, 1)}), [{"steps": 5}])
    assert len(product.points()) == 4
    assert product.points()[1] == {"name": "sgd", "rate": 0.1, "seed": 1, "steps": 5}
    chain = sp.chain(sp.grid({"a": (1, 2)}), [{"b": 3}, {}])
    assert chain.points() == [{"a": 1}, {"a": 2}, {"b": 3}, {}]
    with pytest.raises(UserError, match="'rate' is in two parts"):
        sp.product(first, sp.grid({"rate": (1.0,)}))


@pytest.mark.parametrize(
    "space",
    [
        sp.grid({"a": (1, 2), "b": ((1, 2), (3,))}),
        sp.zipped({"a": (1, 2), "b": ("x", "y")}),
        sp.draws({"a": sp.uniform(0, 1), "b": sp.integers(1, 4)}, count=3),
        sp.chain([{"a": 1}], sp.grid({"b": (2, 3)})),
        sp.product(
            sp.zipped({"a": (1, 2), "b": ("x", "y")}),
            sp.draws({"c": sp.log_uniform(1, 2)}, count=2),
            sp.grid({"d": (True, False)}),
        ),
    ],
)
def test_a_value_for_each_unknown_makes_a_point_with_the_keys_of_the_space(space):
    random = np.random.default_rng(0)
    parameters = space.parameters()
    possible = {frozenset(point) for point in space.points()}
    for _ in range(5):
        values = {name: found.draw(random) for name, found in parameters.items()}
        assert frozenset(space.point(values)) in possible


def test_numbers_of_numpy_and_lists_become_what_a_config_holds():
    (point,) = sp.grid({"a": np.array([0.5]), "b": [[1, [2, 3]]], "c": [np.int64(4)]}).points()
    assert point == {"a": 0.5, "b": (1, (2, 3)), "c": 4}
    assert [type(value) for value in point.values()] == [float, tuple, int]


@pytest.mark.parametrize(
    ("message", "make"),
    {
        "'a' needs several values, as \\['sgd'\\]": lambda: sp.grid({"a": "sgd"}),
        "'a' needs several values, as \\[3\\]": lambda: sp.grid({"a": 3}),
        "'a' has no value": lambda: sp.grid({"a": ()}),
        "needs a dictionary": lambda: sp.grid([1]),
        "zipped needs a dictionary": lambda: sp.zipped({}),
        "3 is no key": lambda: sp.grid({3: (1, 2)}),
        "'a' needs uniform": lambda: sp.draws({"a": (1, 2)}, count=2),
        "count=0": lambda: sp.draws({"a": sp.choice(1)}, count=0),
        "count=True": lambda: sp.draws({"a": sp.choice(1)}, count=True),
        "not dict: {'a': 1}": lambda: sp.as_space({"a": 1}),
        "not NoneType": lambda: sp.as_space(None),
        "not str": lambda: sp.chain("ab"),
        "a point of a sweep is a dictionary": lambda: sp.as_space([("a", 1)]),
        "'a' is given .*lambda.*function": lambda: sp.grid({"a": [lambda: 0]}),
        "'a' is given {1: 2}": lambda: sp.grid({"a": [{1: 2}]}),
    }.items(),
)
def test_mistake_is_reported(message, make):
    with pytest.raises(UserError, match=message):
        make()


def test_more_points_than_any_sweep_has_are_refused_before_they_are_made():
    ten = tuple(range(10))
    huge = sp.grid(dict.fromkeys("abcdefghi", ten))
    many = sp.draws({"a": sp.uniform(0, 1)}, count=10**8)
    thousand = sp.grid(dict.fromkeys("abc", ten))
    other = sp.grid(dict.fromkeys("de", ten))
    for space, count in ((huge, "1,000,000,000"), (many, "100,000,000")):
        with pytest.raises(UserError, match=f"a sweep of {count} points is more than 100,000"):
            space.points()
    with pytest.raises(UserError, match="1,000,000 points"):
        sp.product(thousand, other, sp.grid({"f": ten})).points()
    assert len(sp.product(thousand, other).points()) == 100_000
