"""What share of a device's rates a step reaches, beside a large product and a large copy."""

import time


def shares(macs, train, moved, seconds, operations_a_second, bytes_a_second) -> dict[str, float]:
    """Return shares of the rate of matrix products and of memory bandwidth.

    Args:
        macs: multiply-adds of a forward pass; a gradient takes twice as many again.
        train: whether gradients are taken.
        moved: bytes read and written.
        seconds: of the step.
        operations_a_second: multiplications and additions that a large product reaches.
        bytes_a_second: read and written by a large copy.
    """
    operations = 2 * macs * (3 if train else 1)
    return {
        "of matrix rate": operations / seconds / operations_a_second,
        "of bandwidth": moved / seconds / bytes_a_second,
    }


def device_rates(size: int = 8192, dtype: str = "bfloat16") -> tuple[float, float]:
    """Return operations a second of a square matrix product, and bytes a second of a copy.

    On random numbers: products of equal ones need less power, and a GPU runs them faster.
    """
    import jax
    import jax.numpy as jnp

    a = jax.random.normal(jax.random.key(0), (size, size), dtype)
    product, copy = jax.jit(lambda a: a @ a), jax.jit(lambda a: a + 1)
    large = jnp.tile(a, (4, 1))
    return (
        2 * size**3 / fastest(lambda: product(a)),
        2 * large.nbytes / fastest(lambda: copy(large)),
    )


def fastest(call, calls: int = 10) -> float:
    """Return the seconds of a call in the fastest of five blocks."""
    import jax

    jax.block_until_ready(call())
    found = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(calls):
            result = call()  # the one before is freed
        jax.block_until_ready(result)
        found.append((time.perf_counter() - start) / calls)
    return min(found)
