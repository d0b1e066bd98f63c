"""Cross-entropies: negative log-likelihoods of a categorical and of Bernoulli variables.

And the criterion of LeCun et al. 1998, a cross-entropy with a class for what is no class.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer, Shaped

from cnnlab.errors import UserError

# Penalty of the class that is none, for `map_criterion`.
RUBBISH = 1.0


def softmax_cross_entropy(
    logits: Float[Array, "*b c"],
    target: Integer[Array, "*b"] | Float[Array, "*b c"],
    *,
    label_smoothing: float | int = 0.0,
) -> Float[Array, "*b"]:
    """Return -sum_k target_k log softmax(logits)_k: one class out of many.

    The negative log-likelihood of one draw from a multinomial with probabilities
    softmax(logits). The lecture's table of objectives writes "multi-label" beside it; it is
    multi-class, and several labels at once are `sigmoid_cross_entropy`'s case. Gradient with
    respect to the logits: softmax(logits) - target.

    Args:
        logits: scores before the softmax, any float type.
        target: class indices, or distributions over the classes. An index outside [0, c) gives
            NaN: wrong labels must not train in silence.
        label_smoothing: mass moved from the target to the uniform distribution, (1 - e) target +
            e / c (Szegedy et al. 2016, section 7).

    Raises:
        UserError: for a label smoothing outside [0, 1).
    """
    if not 0 <= label_smoothing < 1:
        raise UserError(f"label_smoothing={label_smoothing} must be at least 0 and below 1")
    log_p = jax.nn.log_softmax(logits.astype(jnp.float32), axis=-1)
    if jnp.issubdtype(target.dtype, jnp.integer):
        known = (target >= 0) & (target < logits.shape[-1])
        index = jnp.where(known, target, 0)
        picked = jnp.take_along_axis(log_p, index[..., None], axis=-1)[..., 0]
        nll = jnp.where(known, -picked, jnp.nan)
    else:
        # A class ruled out by a logit of -inf has no part in the sum: 0 log 0 = 0.
        nll = -jnp.sum(jnp.where(target == 0, 0.0, target * log_p), axis=-1)
    if not label_smoothing:
        return nll
    return (1 - label_smoothing) * nll - label_smoothing * jnp.mean(log_p, axis=-1)


def map_criterion(
    logits: Float[Array, "*b c"],
    target: Integer[Array, "*b"] | Float[Array, "*b c"],
    *,
    rubbish: float | int = RUBBISH,
) -> Float[Array, "*b"]:
    """Return the discriminative criterion of LeCun et al. 1998, equation 9, for one example each.

    With penalties y = -logits (for LeNet-5 squared distances to codes) and the class D,

        E = y_D + log(exp(-j) + sum_i exp(-y_i))

    which is the softmax cross-entropy with one more class, rubbish, that is never right and always
    has the penalty j. Where the penalty of a wrong class is far above j, it is not pushed further.
    Gradient with respect to the logits: `rubbish_softmax`(logits) - target.

    Args:
        logits: minus the penalties, any float type.
        target: class indices, or distributions over the classes. An index outside [0, c) gives
            NaN.
        rubbish: the constant j; the paper has no number for it.
    """
    extended = _with_rubbish(logits, rubbish)
    if jnp.issubdtype(target.dtype, jnp.integer):
        # Rubbish has an index, but is no target.
        return softmax_cross_entropy(extended, jnp.where(target < logits.shape[-1], target, -1))
    never = jnp.zeros((*target.shape[:-1], 1), target.dtype)
    return softmax_cross_entropy(extended, jnp.concatenate([target, never], axis=-1))


def rubbish_softmax(
    logits: Float[Array, "*b c"], *, rubbish: float | int = RUBBISH
) -> Float[Array, "*b c"]:
    """Return the probabilities of the classes next to rubbish, which has what is missing to 1."""
    return jax.nn.softmax(_with_rubbish(logits, rubbish), axis=-1)[..., :-1]


def _with_rubbish(logits, rubbish: float):
    logits = logits.astype(jnp.float32)
    constant = jnp.full((*logits.shape[:-1], 1), -rubbish, logits.dtype)
    return jnp.concatenate([logits, constant], axis=-1)


def sigmoid_cross_entropy(
    logits: Float[Array, "*b k"], target: Shaped[Array, "*b k"]
) -> Float[Array, "*b"]:
    """Return the binary cross-entropy summed over the k outputs: any number of labels at once.

    The negative log-likelihood of k independent Bernoulli variables with probabilities
    sigmoid(logits): -sum_k [y log p + (1 - y) log(1 - p)]. Gradient with respect to the logits:
    sigmoid(logits) - target.

    Args:
        logits: scores before the sigmoid, any float type.
        target: 0, 1, or probabilities.
    """
    logits, target = logits.astype(jnp.float32), target.astype(jnp.float32)
    # Not softplus(z) - y z, which loses small losses to cancellation.
    yes, no = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    return -jnp.sum(target * yes + (1 - target) * no, axis=-1)
