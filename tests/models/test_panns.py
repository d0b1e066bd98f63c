"""PANNs: the paper's parameters and shapes, masks of SpecAugment, inputs that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab import models
from cnnlab.errors import UserError
from cnnlab.models.panns import spec_augment

KEYS = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
TINY = {"width": 1 / 16, "num_classes": 3, "rate": 8000, "window": 256, "hop": 80, "mels": 32}


def tiny(**arguments):
    return models.create("panns_cnn6", **{**TINY, "high": 4000.0, **arguments})


def waves(samples=8000, count=2):
    return np.random.default_rng(0).normal(size=(count, samples)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("panns_cnn6", 4_837_455), ("panns_cnn10", 5_219_279), ("panns_cnn14", 80_753_615)],
)
def test_parameters_of_table_1(name, parameters):
    model = models.create(name)
    shapes = jax.eval_shape(model.init, KEYS, jnp.zeros((1, 320_000)))
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == parameters


def test_shapes_of_ten_seconds():
    model = models.create("panns_cnn14")
    waveforms = jax.ShapeDtypeStruct((2, 320_000), jnp.float32)
    variables = jax.eval_shape(model.init, KEYS, waveforms)
    _, endpoints = jax.eval_shape(model.apply, variables, waveforms)
    assert {name: x.shape[1:] for name, x in endpoints.items()} == {
        "log_mel": (1001, 64),
        "block1": (500, 32, 64),
        "block2": (250, 16, 128),
        "block3": (125, 8, 256),
        "block4": (62, 4, 512),
        "block5": (31, 2, 1024),
        "block6": (31, 2, 2048),
        "pooled": (2048,),
        "features": (2048,),
        "logits": (527,),
    }


def test_a_louder_sound_has_more_decibels_and_training_masks_it():
    model, sounds = tiny(dropout=0.0), waves()
    variables = jax.jit(model.init)(KEYS, sounds)

    @jax.jit
    def both(sounds):
        output, endpoints = model.apply(variables, sounds)
        trained, _ = model.apply(
            variables, sounds, train=True, rngs={"dropout": KEYS["params"]}, mutable="batch_stats"
        )
        return output, endpoints["log_mel"], trained[0]

    output, levels, trained = both(sounds)
    np.testing.assert_allclose(both(10 * sounds)[1], levels + 20, atol=1e-2)
    assert output.shape == trained.shape == (2, 3) and np.isfinite(trained).all()
    assert not np.allclose(output, trained)


def test_spec_augment_masks_two_stripes_of_each_kind_narrower_than_the_widths():
    masked = np.asarray(spec_augment(jnp.ones((500, 60, 20)), jax.random.key(0), (10, 4)))
    assert set(np.unique(masked)) == {0.0, 1.0}
    frames = (masked == 0).all(2).sum(1)
    bands = (masked == 0).all(1).sum(1)
    assert frames.max() <= 18 and bands.max() <= 6
    # Widths alike from 0 to 9, and from 0 to 3, less what overlaps.
    assert 7.5 < frames.mean() < 9.2 and 2.3 < bands.mean() < 3.1
    # Nothing else is masked, and every example has its own.
    rows, columns = (masked == 0).all(2), (masked == 0).all(1)
    np.testing.assert_array_equal(masked == 0, rows[:, :, None] | columns[:, None])
    assert len(np.unique(masked, axis=0)) > 400


def test_widths_of_zero_mask_nothing():
    x = jnp.ones((3, 8, 8))
    np.testing.assert_array_equal(spec_augment(x, jax.random.key(0), (0, 0)), x)


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((1, 900), {}, "12 frames of 32 bands are too small"),
        ((1, 8000), {"mels": 8}, "of 8 bands are too small"),
        ((1, 8000), {"rate": 4000}, "need 0 <= low < high <= 2000"),
    ],
)
def test_what_does_not_fit_is_refused(shape, arguments, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(tiny(**arguments).init, KEYS, jnp.zeros(shape))
