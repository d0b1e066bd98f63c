"""Under which names of a checkpoint a network lies."""

import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.pretrained.matching import match, report

SHAPES = {"conv1.weight": (4, 3, 3, 3), "layer.0.weight": (4, 4), "fc.weight": (2, 4)}


def under(*prefixes, shapes=SHAPES, **others):
    arrays = {f"{p}{name}": np.zeros(shape) for p in prefixes for name, shape in shapes.items()}
    return arrays | {name: np.zeros(shape) for name, shape in others.items()}


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "module.",
        "model.",
        "net.",
        "state_dict.model.backbone.",
        "state_dict.module.encoder_q.",
        "student.module.backbone.",
        "anything.at.all.",
    ],
)
def test_the_prefix_of_most_arrays_is_found(prefix):
    # Another head has one array of the same name.
    arrays = under(prefix, **{"loss.fc.weight": (2, 4), "n_averaged": (), "epoch": ()})
    found = match(arrays, SHAPES)
    assert (found.prefix, found.alike) == (prefix, ())
    assert set(SHAPES) <= set(found.arrays)


def test_of_two_networks_the_one_of_these_shapes_is_taken():
    teacher = {name: tuple(2 * n for n in shape) for name, shape in SHAPES.items()}
    arrays = under("a.", shapes=teacher) | under("b.")
    assert match(arrays, SHAPES).prefix == "b."
    # And that with nothing else, where one contains the other.
    deeper = {**SHAPES, "layer.1.weight": (4, 4)}
    arrays = under("a.", shapes=deeper) | under("b.")
    assert match(arrays, SHAPES).prefix == "b."


def test_a_unit_with_names_like_the_first_layers_is_no_network():
    # Of a network of another width nothing has the shape, but what a unit has by chance.
    units = {"layer.1.conv1.weight": SHAPES["conv1.weight"]}
    narrow = {name: tuple(2 * n for n in shape) for name, shape in SHAPES.items()}
    assert match(under("net.", shapes=narrow | units), SHAPES).prefix == "net."


AVERAGES = {
    "state_dict_ema.": "state_dict.",
    "model_ema.module.": "model.",
    "ema_state_dict.": "state_dict.",
    "ema.": "model.",
    "target_encoder.": "online_encoder.",
    "teacher.backbone.": "student.backbone.",
    "state_dict.module.encoder_k.": "state_dict.module.encoder_q.",
    "swa_model.module.": "model.",
}


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("first", [True, False])
def test_averages_are_taken_when_asked_and_named_when_not(average, first, caplog):
    caplog.set_level("INFO", logger="cnnlab")
    plain = AVERAGES[average]
    arrays = under(*((average, plain) if first else (plain, average)))
    for ema in (True, None):
        found = match(arrays, SHAPES, ema=ema)
        assert found.prefix == average
        report("file", found, arrays)
        assert "ema=True" not in caplog.text
    found = match(arrays, SHAPES)
    assert (found.prefix, found.alike) == (plain, (average,))
    report("file", found, arrays)
    assert f"'{plain}'; its moving average under '{average}' is taken with ema=True" in caplog.text


def test_an_average_that_is_alone_is_taken_and_none_is_said_so():
    # PyTorch's AveragedModel.
    arrays = under("module.", n_averaged=())
    assert match(arrays, SHAPES).prefix == match(arrays, SHAPES, ema=True).prefix == "module."
    with pytest.raises(UserError, match=r"no moving average .* only what lies under 'model\.'"):
        match(under("model."), SHAPES, ema=True)
    assert match(under("model."), SHAPES, ema=None).prefix == "model."


def test_of_two_alike_the_first_is_taken_with_a_warning_and_the_other_by_its_prefix(caplog):
    arrays = under("left.", "right.")
    found = match(arrays, SHAPES)
    report("file", found, arrays)
    (warning,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "'left.' are taken" in warning and "prefix='right.'" in warning
    found = match(arrays, SHAPES, prefix="right.")
    assert (found.prefix, found.alike) == ("right.", ())


def test_what_is_not_read_is_named(caplog):
    caplog.set_level("INFO", logger="cnnlab")
    arrays = under("model.", **{f"loss.{n}": () for n in range(7)})
    report("file", match(arrays, SHAPES), arrays)
    assert caplog.messages == [
        "file: the weights under 'model.'; not read: loss.0, loss.1, loss.2, loss.3, loss.4 and "
        "2 more"
    ]


def test_nothing_that_fits_is_all_of_the_file():
    found = match({"a": np.zeros(1)}, SHAPES)
    assert (found.prefix, found.score, set(found.arrays)) == ("", (0, 0, 0), {"a"})
