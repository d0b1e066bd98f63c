"""CPC's network for images: what each latent and each context depends on, and what they do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnlab.errors import UserError
from cnnlab.models.cpc import CPC, DIRECTIONS, MODELS, Context, _folded, turn

TINY = {
    "patch": 8,
    "stride": 4,
    "jitter_crop": 6,
    "depths": (1, 1),
    "widths": (6, 8),
    "block": "basic",
    "stem": "cifar",
    "context_blocks": 2,
    "context_width": 8,
}
# 24 pixels: 5x5 patches.
SIZE, GRID = 24, 5


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def drawn(model, images):
    """Return variables that keep the size of the signal, without compiling how they are drawn."""
    rng = np.random.default_rng(0)

    def draw(leaf):
        std = (2 / np.prod(leaf.shape[:-1])) ** 0.5 if leaf.ndim > 1 else 0.1
        return jnp.asarray(std * rng.normal(size=leaf.shape), leaf.dtype)

    return jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0), images))


@pytest.fixture(scope="module")
def seen():
    """Latents and contexts of an image, and of the same with one half of its pixels replaced."""
    model = CPC(**TINY, directions=tuple(DIRECTIONS))
    image = normal(SIZE, SIZE, 3)
    images = np.stack([image] * 5)
    half = normal(12, SIZE, 3, seed=1)
    images[1, 12:], images[2, :12] = half, half
    images[3, :, 12:], images[4, :, :12] = half.swapaxes(0, 1), half.swapaxes(0, 1)
    variables = drawn(model, images)
    apply = jax.jit(model.apply)
    # One by one: the same place in another batch may be rounded in another way.
    results = [apply(variables, one[None]) for one in images]
    output, endpoints = jax.tree.map(lambda *x: np.concatenate(x), *results)
    assert np.all(np.ptp(endpoints["latents"], axis=(0, 1, 2)) > 0), "a latent is dead"
    return model, variables, images, output, endpoints


def test_latents_see_their_own_patch_alone(seen):
    _, _, _, _, endpoints = seen
    latents = endpoints["latents"]
    # The patches of rows 0 and 1 end at pixel 12; that of row 3 is the first to start there.
    changed = np.any(latents[1:] != latents[0], axis=-1)
    below = np.arange(GRID) >= 2
    above = np.arange(GRID) <= 2
    everywhere = np.ones(GRID, bool)
    for found, (rows, columns) in zip(
        changed,
        [(below, everywhere), (above, everywhere), (everywhere, below), (everywhere, above)],
        strict=True,
    ):
        np.testing.assert_array_equal(found, np.outer(rows, columns))


def test_no_context_changes_with_what_lies_ahead_of_it(seen):
    model, _, _, _, endpoints = seen
    contexts = dict(zip(model.directions, np.split(endpoints["context"], 4, axis=-1), strict=True))
    # In each direction the pixels ahead of the middle, and the index of the image in which they
    # are others.
    for direction, index in {"down": 1, "up": 2, "right": 3, "left": 4}.items():
        context = contexts[direction]
        changed = np.any(context[index] != context[0], axis=-1)
        grid = jnp.asarray(changed[None, ..., None], jnp.float32)
        turned = np.asarray(turn(grid, direction))[0, ..., 0]
        assert not turned[:2].any() and turned[2:].all(), direction
        # And what lies behind reaches all that comes after.
        opposite = {1: 2, 2: 1, 3: 4, 4: 3}[index]
        assert np.any(context[opposite] != context[0], axis=-1).all(), direction


def test_gradients_reach_the_rows_above_and_none_below():
    context, grid = Context(blocks=2, hidden=8, dtype="float32"), jnp.asarray(normal(1, 4, 5, 6))
    variables = drawn(context, grid)

    @jax.jit
    @jax.jacrev
    def by_row(grid):
        return jnp.sum(context.apply(variables, grid), axis=(0, 2, 3))

    gradient = np.asarray(by_row(grid))[:, 0]
    reached = np.any(gradient != 0, axis=(2, 3))
    # Two blocks look two rows up.
    expected = np.array([[0 <= i - p <= 2 for p in range(4)] for i in range(4)])
    np.testing.assert_array_equal(reached, expected)


def test_features_are_the_mean_of_the_latents_and_the_output(seen):
    _, _, _, output, endpoints = seen
    assert list(endpoints) == ["latents", "context", "features"]
    expected = endpoints["latents"].mean(axis=(1, 2))
    np.testing.assert_allclose(endpoints["features"], expected, atol=1e-5)
    np.testing.assert_array_equal(output, endpoints["features"])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_turning_twice_is_no_turn_and_once_puts_the_beginning_first(direction):
    grid = jnp.arange(12.0).reshape(1, 3, 4, 1)
    turned = turn(grid, direction)
    first = {"down": grid[:, 0], "up": grid[:, -1], "right": grid[:, :, 0], "left": grid[:, :, -1]}
    assert sorted(turned[:, 0].ravel()) == sorted(first[direction].ravel())
    np.testing.assert_array_equal(turn(turned, direction), grid)


def test_training_sees_patches_of_one_color_and_evaluation_does_not(seen):
    _, variables, images, _, _ = seen
    model = CPC(**TINY, drop_colors=True)

    @jax.jit
    def latents(rng):
        _, endpoints = model.apply(variables, images, train=True, rngs={"dropout": rng})
        return endpoints["latents"]

    first, again, other = (latents(jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    plain = seen[-1]["latents"]
    assert np.all(np.any(first != plain, axis=-1))
    # The same channel and place come up for some.
    assert np.mean(np.any(first != other, axis=-1)) > 0.9


def test_without_augmentation_training_needs_no_key_and_is_evaluation(seen):
    _, variables, images, output, _ = seen
    model = CPC(**{**TINY, "jitter_crop": 0})
    trained, _ = jax.jit(lambda x: model.apply(variables, x, train=True))(images)
    np.testing.assert_allclose(trained, output, atol=1e-5)


def test_gray_is_one_channel_of_the_eyes_weights():
    model, image = CPC(**TINY, gray=True), normal(SIZE, SIZE, 3)
    gray = np.sum(image * [0.299, 0.587, 0.114], axis=-1, keepdims=True)
    images = jnp.asarray(np.stack([image, np.broadcast_to(gray, image.shape)]), jnp.float32)
    variables = drawn(model, images)
    assert variables["params"]["encoder"]["stem"]["conv1"]["kernel"].shape[2] == 1
    (color, expected), _ = jax.jit(model.apply)(variables, images)
    np.testing.assert_allclose(color, expected, atol=1e-5)
    # Images of one channel are left as they are.
    assert drawn(model, images[..., :1])["params"].keys() == variables["params"].keys()


def test_folding_makes_squares_of_pixels_channels():
    x = normal(2, 4, 6, 3)
    folded = np.asarray(_folded(jnp.asarray(x), 2))
    assert folded.shape == (2, 2, 3, 12)
    for n, i, j in np.ndindex(2, 2, 3):
        square = x[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        np.testing.assert_array_equal(folded[n, i, j], square.ravel())


def test_shapes_of_the_paper():
    architecture = MODELS["cpc_resnet101"]
    model = architecture.module(**{**architecture.fields(), "num_classes": 10})
    images = jax.ShapeDtypeStruct((2, *architecture.input), jnp.float32)
    both = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    (_, endpoints), variables = both
    assert {name: x.shape[1:] for name, x in endpoints.items()} == {
        "latents": (7, 7, 1024),
        "context": (7, 7, 1024),
        "features": (1024,),
        "logits": (10,),
    }
    # Without norms there is nothing but kernels and biases.
    names = {path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(variables)}
    assert names == {"kernel", "bias"}


def test_bfloat16_has_float32_parameters_and_output_and_remat_the_same_names():
    model, images = CPC(**TINY, norm="layer"), jnp.zeros((2, SIZE, SIZE, 3))

    def traced(model):
        return jax.eval_shape(model.init_with_output, jax.random.key(0), images)

    (_, _), variables = traced(model)
    half, remat = model.clone(dtype="bfloat16"), model.clone(remat=True)
    (output, endpoints), stored = traced(half)
    assert stored == variables and output.dtype == jnp.float32
    assert {x.dtype for x in endpoints.values()} == {jnp.dtype("bfloat16")}
    assert traced(remat)[1] == variables
    apply = jax.make_jaxpr(lambda model, v: model.apply(v, images), static_argnums=0)
    assert "remat" in str(apply(remat, variables)) and "remat" not in str(apply(model, variables))
    assert "group" in variables["params"]["encoder"]["norm"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm": "batch"}, "model.norm='batch'"),
        ({"directions": ()}, "needs one or more"),
        ({"directions": ("downward",)}, "did you mean 'down'"),
        ({"patch": 32}, "needs 32x32"),
        ({"fold": 3}, "model.fold=3 has to divide model.patch=8"),
    ],
)
def test_fields_that_cannot_be_are_named(changes, message):
    model = CPC(**{**TINY, **changes})
    with pytest.raises(UserError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
