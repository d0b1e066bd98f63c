"""Grain: examples read, decoded and preprocessed by threads, batch by batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnlab.data.loading.in_memory import stack
from cnnlab.data.loading.order import eval_indices
from cnnlab.data.loading.samplers import Sampler


class TrainOrder:
    """A random-access view of the endless shuffled stream that one host reads.

    Position p of the view is row p mod b of the host's part, b rows long, of batch p div b. A row
    of a pair is two examples, stacked.
    """

    def __init__(
        self,
        source,
        sampler: Sampler,
        *,
        seed: int,
        batch_size: int,
        steps: int,
        host: int,
        hosts: int,
    ):
        """Remember which part of which batches to read; `batch_size` is the global one."""
        self.source, self.seed, self.batch_size, self.steps = source, seed, batch_size, steps
        self.sampler = sampler
        self.part = batch_size // hosts
        self.offset = host * self.part

    def __len__(self) -> int:
        return self.steps * self.part

    def __getitem__(self, position: Any) -> dict[str, np.ndarray]:
        step, row = divmod(int(position), self.part)
        ordinal = step * self.batch_size + self.offset + row
        indices = self.sampler.batch(step)[self.offset + row]
        rng = np.random.default_rng((self.seed, 1, ordinal))
        if indices.ndim:
            members = [self.source.at(int(index), rng) for index in indices]
            example = stack(members)
        else:
            example = self.source.at(int(indices), rng)
        return {**example, "ordinal": np.array(ordinal, np.uint32)}


class EvalOrder:
    """A random-access view of a set in file order, padded to whole batches for every host."""

    def __init__(self, source, *, batch_size: int, host: int, hosts: int):
        """Lay out this host's rows; see `order.eval_indices`."""
        parts = eval_indices(len(source), batch_size, host, hosts)
        self.source = source
        self.indices = np.concatenate([indices for indices, _ in parts])
        self.valid = np.concatenate([valid for _, valid in parts])

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: Any) -> dict[str, np.ndarray]:
        index = int(self.indices[position])
        example = dict(self.source[index])
        readable = example.pop("valid", np.True_)
        valid = np.array(self.valid[position] & readable)
        return {**example, "index": np.array(index, np.int32), "valid": valid}


def stream(
    view: Any, batch_size: int, *, start: int = 0, threads: int = 8, workers: int = 0
) -> Iterator[dict[str, np.ndarray]]:
    """Read a view in batches, ahead of the consumer.

    Args:
        view: a random-access sequence of examples.
        batch_size: this host's rows in a batch.
        start: number of batches to pass over, at no cost.
        threads: threads that read and decode.
        workers: processes to do so in; 0 for threads of this one (a process takes seconds to
            start, and is worth it only where Python itself is the bottleneck).
    """
    import grain

    dataset = grain.MapDataset.source(view).batch(batch_size, batch_fn=stack)[start:]
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(2, 2 * threads))
    # Threads read whole batches here, so that one slow image does not hold up the others.
    iterable = dataset.to_iter_dataset(options)
    if workers:
        iterable = iterable.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
    return iter(iterable)
