"""CPC's network for sound: hop, reach and order in time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.models.cpc_audio import MODELS, CPCAudio

HOP, REACH = 160, 465
TINY = CPCAudio(channels=8, context=6)


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


@pytest.fixture(scope="module")
def case():
    waveforms = normal(2, 8 * HOP + 37)
    variables = jax.jit(TINY.init)(jax.random.key(0), waveforms)

    def both(waveforms):
        output, endpoints = TINY.apply(variables, waveforms)
        total = {n: jnp.sum(endpoints[n][0], axis=(1, 2)) for n in ("latents", "context")}
        return total, (output, endpoints)

    # How each time of the first example depends on each sample.
    slopes, (output, endpoints) = jax.jit(jax.jacrev(both, has_aux=True))(waveforms)
    return slopes, output, jax.device_get(endpoints)


def test_shapes_of_the_paper():
    architecture = MODELS["cpc_audio"]
    model = architecture.module(**{**architecture.fields(), "num_classes": 41})
    waveforms = jax.ShapeDtypeStruct((2, *architecture.input), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), waveforms)
    _, endpoints = jax.eval_shape(model.apply, variables, waveforms)
    assert {name: x.shape[1:] for name, x in endpoints.items()} == {
        "latents": (20480 // HOP, 1, 512),
        "context": (20480 // HOP, 1, 256),
        "features": (256,),
        "logits": (41,),
    }
    # Taps times channels in and out, biases, and the three gates of the GRU.
    convolutions = 10 * 512 + (8 + 3 * 4) * 512**2 + 5 * 512
    expected = convolutions + 3 * (512 * 256 + 256**2 + 256) + 256 * 41 + 41
    assert sum(x.size for x in jax.tree.leaves(variables)) == expected


def test_a_latent_every_160_samples_sees_465(case):
    slopes, _, endpoints = case
    assert endpoints["latents"].shape == (2, 8, 1, 8)
    samples = np.any(np.asarray(slopes["latents"]) != 0, axis=1)
    for time in range(2, 6):
        (reached,) = np.nonzero(samples[time])
        # The zeros around each layer put 152 samples before the place.
        start = time * HOP - 152
        assert reached.min() == start and reached.max() == start + REACH - 1


def test_no_context_hears_what_comes_later(case):
    slopes, _, _ = case
    samples = np.any(np.asarray(slopes["context"]) != 0, axis=1)
    for time in range(6):
        (reached,) = np.nonzero(samples[time])
        assert reached.min() == 0 and reached.max() == time * HOP - 152 + REACH - 1


def test_features_are_the_mean_of_the_context(case):
    _, output, endpoints = case
    assert list(endpoints) == ["latents", "context", "features"]
    np.testing.assert_allclose(output, endpoints["context"].mean(axis=(1, 2)), atol=1e-6)
    assert endpoints["latents"].min() == 0 and np.all(abs(endpoints["context"]) < 1)


def test_bfloat16_has_float32_parameters_and_output():
    waveforms = jnp.zeros((2, 400))
    half = TINY.clone(dtype="bfloat16", num_classes=3)
    results = jax.eval_shape(half.init_with_output, jax.random.key(0), waveforms)
    (output, endpoints), variables = results
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    assert output.shape == (2, 3) and output.dtype == jnp.float32
    assert endpoints["context"].dtype == endpoints["features"].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("changes", "shape", "message"),
    [
        ({}, (2, 159), "shorter than the hop of 160"),
        ({"strides": (2, 2)}, (2, 400), "one number each"),
    ],
)
def test_what_does_not_fit_is_named(changes, shape, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(TINY.clone(**changes).init, jax.random.key(0), jnp.zeros(shape))
