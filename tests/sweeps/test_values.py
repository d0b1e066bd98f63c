"""Values on a command line: `launch.py train` reads back exactly what a sweep meant."""

import pytest

from cnnlab.commands.parsing import parse
from cnnlab.sweeps.values import arguments, from_json, plain_point, text

VALUES = {
    "seed": [0, -3, 2**60],
    "ema_decay": [0.1, 1e-300, -2.5, 1 / 3, 1e22, float("inf"), 3.0],
    "deterministic": [True, False],
    "data.source": [
        "",
        "two words",
        'it\'s "quoted"',
        "--config.whole=3",
        "a=b,c",
        "true",
        "None",
        "(1, 2)",
        "ü\n\\",
        " x ",
    ],
    "freeze": [(), (1,), (1, 2.5), ("a b", "it's"), ((1, (2, ())), "x"), (True, None), ("",)],
    "data.train.augment": [{}, {"k": {}}, {"a": {"b": (1, "x y")}}],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in VALUES.items() for value in values]
)
def test_command_line_means_the_same_value(key, value):
    given = arguments({key: value})
    values, _ = parse("train", ["--config=configs/digits_lenet5.py", *given])
    found = values.config[key]
    found = found.to_dict() if hasattr(found, "to_dict") else found
    assert found == value
    assert type(found) is type(value)


def test_text_of_a_string_is_the_string_and_of_the_rest_python():
    assert [text(v) for v in (True, "a b", ("a",), 1e-5)] == ["true", "a b", '("a",)', "1e-05"]


def test_json_gives_tuples_back():
    point = {"a": (1, ("x", ())), "b": {"c": (2,)}, "d": None}
    assert from_json({"a": [1, ["x", []]], "b": {"c": [2]}, "d": None}) == point
    assert plain_point({"a": [1, ["x", []]], "b": {"c": [2]}, "d": None}) == point
