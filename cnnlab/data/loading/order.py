"""The order of examples: a pure function of the seed and a running number, the ordinal.

Ordinal o is the o-th example that training sees over all hosts and epochs. Whatever delivers the
data (memory, device, Grain threads) asks here, so all deliver the same batches, and a run that
resumes needs to remember nothing but its step.
"""

import functools

import numpy as np
from jaxtyping import Int


@functools.lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, count: int) -> Int[np.ndarray, "n"]:
    """Return the permutation of `range(count)` in which this epoch sees the examples."""
    order = np.random.default_rng((seed, epoch)).permutation(count)
    order.setflags(write=False)
    return order


def example_indices(seed: int, start: int, stop: int, count: int) -> Int[np.ndarray, "n"]:
    """Return the indices of the examples with ordinals `start` to `stop - 1`."""
    parts = []
    while start < stop:
        epoch, position = divmod(start, count)
        end = min(count, position + stop - start)
        parts.append(epoch_order(seed, epoch, count)[position:end])
        start += end - position
    return np.concatenate(parts) if parts else np.zeros(0, int)


def eval_indices(
    count: int, batch_size: int, host: int = 0, hosts: int = 1
) -> list[tuple[Int[np.ndarray, "b"], np.ndarray]]:
    """Return this host's `(indices, valid)` for each batch that covers every example once.

    Batch k holds examples k·batch_size …, of which each host takes an equal contiguous part; the
    last batch is filled with index 0, where `valid` is False, so that all hosts run equally many
    batches of one shape.
    """
    part = batch_size // hosts
    batches = []
    for start in range(0, count, batch_size):
        indices = np.arange(start + host * part, start + (host + 1) * part)
        valid = indices < count
        batches.append((np.where(valid, indices, 0), valid))
    return batches
