"""A checksum of a state that is the same however the state is sharded.

File systems and file formats detect some damage, not all: a flipped bit in an uncompressed
chunk restores as a different number. The checksum is computed on the device when a checkpoint
is written, kept beside it, and computed again after reading.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, UInt32


def _words(leaf: Array) -> UInt32[Array, "n"]:
    # Bytes, widened: works for every dtype, and a flipped bit changes exactly one of them.
    if leaf.dtype == jnp.bool_:
        leaf = leaf.astype(jnp.uint8)
    width = leaf.dtype.itemsize
    unsigned = {1: jnp.uint8, 2: jnp.uint16, 4: jnp.uint32, 8: jnp.uint32}[width]
    return jax.lax.bitcast_convert_type(leaf, unsigned).reshape(-1).astype(jnp.uint32)


@jax.jit
def _sums(leaves: list[Array]) -> UInt32[Array, "n"]:
    def one(leaf):
        words = _words(leaf)
        # Odd weights: one changed word always changes the sum modulo 2^32, and so do two
        # exchanged ones. Integer sums do not depend on their order, hence not on the sharding.
        weights = 2 * jnp.arange(words.size, dtype=jnp.uint32) + 1
        return jnp.sum(words * weights, dtype=jnp.uint32)

    return jnp.stack([one(leaf) for leaf in leaves])


def fingerprint(tree: PyTree) -> list[int]:
    """Return one checksum for each leaf of a tree of arrays, in the order of `jax.tree.leaves`."""
    return np.asarray(_sums(jax.tree.leaves(tree))).tolist()
