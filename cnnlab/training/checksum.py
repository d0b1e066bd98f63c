"""Checksums of a state's arrays, and whether all are finite, the same however they are sharded.

File systems and file formats detect some damage, not all: a flipped bit in an uncompressed
chunk restores as a different number. The checksum is computed on the device when a checkpoint
is written, kept beside it, and computed again after reading.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PyTree, Shaped, UInt32


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


@jax.jit
def _finite(leaves: list[Array]) -> Bool[Array, "n"]:
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves])


def first_not_finite(tree: PyTree) -> int | None:
    """Return the index of the first leaf that holds a NaN or an infinity, None without one."""
    bad = np.flatnonzero(~np.asarray(_finite(jax.tree.leaves(tree))))
    return int(bad[0]) if len(bad) else None


def checksums(tree: PyTree) -> list[int]:
    """Return one checksum for each leaf of a tree of arrays, in the order of `jax.tree.leaves`."""
    return np.asarray(_sums(jax.tree.leaves(tree))).tolist()


def checksum_of_array(leaf: Shaped[np.ndarray, "..."]) -> int:
    """Return the checksum of one leaf, computed on the host: devices may have no room for it."""
    if leaf.dtype == np.bool_:
        leaf = leaf.astype(np.uint8)
    unsigned = f"u{min(leaf.dtype.itemsize, 4)}"
    words = np.ascontiguousarray(leaf).reshape(-1).view(unsigned).astype(np.uint32)
    weights = 2 * np.arange(words.size, dtype=np.uint32) + 1
    return int(np.sum(words * weights, dtype=np.uint32))
