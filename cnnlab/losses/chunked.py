"""Apply a function to rows in chunks, so that memory holds one chunk at a time.

For losses whose matrix of similarities would not fit: row i of the result depends on row i of the
arguments alone (and on what the function closes over).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree


def by_rows(function: Callable[..., Any], rows: PyTree, chunk: int) -> PyTree:
    """Return `function(rows)`, computed from `chunk` rows at a time.

    The backward pass computes each chunk anew, so that it does not need the chunks' intermediate
    values all at once either.

    Args:
        function: tree of arrays [n, ...] -> tree of arrays [n, ...], row by row; has to give
            something finite for rows of zeros, with which the last chunk is filled up.
        rows: its argument.
        chunk: rows at a time, which need not divide n; 0 for all at once.
    """
    count = jax.tree.leaves(rows)[0].shape[0]
    if not 0 < chunk < count:
        return function(rows)
    chunks = -(-count // chunk)

    def split(x):
        padding = jnp.zeros((chunks * chunk - count, *x.shape[1:]), x.dtype)
        return jnp.concatenate([x, padding]).reshape(chunk, chunks, *x.shape[1:]).swapaxes(0, 1)

    def join(y):
        return y.swapaxes(0, 1).reshape(chunk * chunks, *y.shape[2:])[:count]

    # Rows are dealt out to the chunks in turn: where `jax.jit` has spread them over devices, each
    # device has a part of every chunk to compute.
    results = jax.lax.map(jax.checkpoint(function), jax.tree.map(split, rows))
    return jax.tree.map(join, results)
