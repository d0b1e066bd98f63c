import pytest
from ml_collections import ConfigDict

from cnnlab.data.augment import AUGMENT, check
from cnnlab.errors import UserError

WRONG = [
    ("flip", "probability", 1.5),
    ("flip", "probability", -0.1),
    ("flip", "probability", "half"),
    ("flip", "probability", True),
    ("flip", "probability", float("nan")),
    ("affine", "degrees", -10),
    ("affine", "scale", (1.1, 0.9)),
    ("affine", "scale", 0.9),
    ("affine", "translate", 1.2),
    ("pad_crop", "padding", -1),
    ("pad_crop", "padding", 2.5),
    ("pad_crop", "mode", "reflct"),
    ("random_resized_crop", "scale", (0.5, 1.5)),
    ("random_resized_crop", "ratio", (0.0, 1.0)),
    ("random_resized_crop", "size", -224),
    ("rand_augment", "magnitude", 31),
    ("rand_augment", "layers", -1),
    ("rand_augment", "magnitude_std", -0.5),
    ("color_jitter", "brightness", -0.4),
    ("color_jitter", "hue", 0.6),
    ("color_jitter", "probability", 80),
    ("grayscale", "probability", 1.1),
    ("gaussian_blur", "sigma", (2.0, 0.1)),
    ("gaussian_blur", "sigma", (0.0, 2.0)),
    ("gaussian_blur", "kernel", 0),
    ("gaussian_blur", "kernel", 23),
    ("solarize", "threshold", 128),
    ("normalize", "mean", ()),
    ("normalize", "mean", "imagenet"),
    ("normalize", "std", (0.2, 0.0, 0.2)),
    ("random_erasing", "fill", "noisy"),
    ("random_erasing", "scale", (0.0, 0.3)),
    ("mixup", "alpha", -1.0),
    ("cutmix", "alpha", float("inf")),
]


@pytest.mark.parametrize(("name", "argument", "value"), WRONG)
def test_a_value_out_of_range_is_named_with_its_argument(name, argument, value):
    with pytest.raises(UserError, match=rf"augment\.{name}\.{argument}") as error:
        check({name: {argument: value}})
    assert repr(value) in str(error.value)


def test_misspelt_names_arguments_and_words_suggest_the_right_one():
    with pytest.raises(UserError, match="did you mean 'flip'"):
        check({"filp": {}})
    with pytest.raises(UserError, match="did you mean 'probability'"):
        check({"flip": {"probabilty": 0.5}})
    with pytest.raises(UserError, match="did you mean 'reflect'"):
        check({"pad_crop": {"mode": "reflct"}})


def test_batch_and_keys_are_no_hyper_parameters():
    for name in AUGMENT:
        with pytest.raises(UserError, match="no argument 'keys'"):
            check({name: {"keys": 0}})


def test_a_bare_value_in_place_of_a_dict_is_an_error():
    with pytest.raises(UserError, match=r"augment\.flip = True is not a dict"):
        check({"flip": True})


def test_defaults_lists_and_config_dicts_pass():
    check({name: {} for name in AUGMENT})
    check({"affine": {"scale": [0.9, 1.1], "degrees": 0}})
    check(ConfigDict({"affine": {"scale": (0.9, 1.1)}, "mixup": {"alpha": 0}}))


def test_every_default_is_within_its_own_limit():
    from cnnlab.utils.registry import defaults

    for name, function in AUGMENT.items():
        arguments = {k: v for k, v in defaults(function).items() if v is not None}
        check({name: arguments})
        assert arguments or name == "quarter_turn"
