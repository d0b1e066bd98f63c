"""Strategies that run one step on many devices: `pmap`, `jit` (data parallel) and `fsdp`.

All three keep the state as global arrays without a device axis, so that a checkpoint written
under one strategy and number of devices is read under any other.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PyTree

from cnnlab.errors import UserError
from cnnlab.utils.registry import pick

AXIS = "batch"
STRATEGIES = {
    "pmap": "one replica a device, explicit averages, BatchNorm per replica unless sync_bn",
    "jit": "one global program over a mesh, batch sharded, state replicated",
    "fsdp": "as jit, with parameters and optimizer state sharded too",
}
# Below this many elements a leaf costs more to gather than to keep everywhere.
FSDP_MIN_SIZE = 1024


@dataclasses.dataclass(frozen=True)
class Parallel:
    """A strategy on a set of devices."""

    strategy: str
    mesh: Mesh
    fsdp_min_size: int = FSDP_MIN_SIZE

    @property
    def devices(self) -> int:
        """Number of devices over all processes."""
        return self.mesh.size

    @property
    def platform(self) -> str:
        """`cpu`, `gpu` or `tpu`."""
        return self.mesh.devices.flat[0].platform

    @property
    def blocks(self) -> bool:
        """Whether to wait for each step: un-awaited collectives on simulated devices stall."""
        return self.platform == "cpu" and self.devices > 1

    def local_batch(self, batch_size: int, what: str = "batch_size", *, parts: int = 1) -> int:
        """Return this process's part of a global batch.

        Args:
            batch_size: over all processes.
            what: its entry in the config.
            parts: of a device's batch, as gradients are accumulated.

        Raises:
            UserError: it cannot be divided among the devices, or a device's part into `parts`.
        """
        if batch_size % self.devices:
            near = max(1, round(batch_size / self.devices)) * self.devices
            raise UserError(
                f"{what}={batch_size} is not divisible by the {self.devices} devices: "
                f"try {near}, or use fewer with --config.parallel.devices"
            )
        if batch_size // self.devices % parts:
            raise UserError(
                f"{what}={batch_size} is {batch_size // self.devices} a device, which "
                f"accumulation={parts} does not divide"
            )
        return batch_size // jax.process_count()

    def state_sharding(self, state: PyTree) -> PyTree:
        """Return the sharding of each leaf of a state (or of shapes like it)."""

        def of(leaf):
            shape = np.shape(leaf)
            if self.strategy != "fsdp" or np.prod(shape, dtype=int) < self.fsdp_min_size:
                return NamedSharding(self.mesh, P())
            even = [size if size % self.devices == 0 else 0 for size in shape]
            axis = int(np.argmax(even))
            spec = P(*(AXIS if i == axis and even[axis] else None for i in range(len(shape))))
            return NamedSharding(self.mesh, spec)

        return jax.tree.map(of, state)

    def place_state(self, state: PyTree) -> PyTree:
        """Put copies of arrays, whole in every process, on the devices."""
        return jax.tree.map(_place, state, self.state_sharding(state))

    def place_data(self, data: PyTree) -> PyTree:
        """Put a data set's arrays on every device."""
        sharding = NamedSharding(self.mesh, P())
        if jax.process_count() == 1:
            return jax.device_put(data, sharding)
        # device_put would send everything around, to see whether it is the same everywhere.
        return jax.tree.map(
            lambda x: jax.make_array_from_callback(x.shape, sharding, x.__getitem__), data
        )

    def batch_sharding(self, scan: bool = False) -> NamedSharding:
        """Return the sharding of a batch, whose first axis (`scan`: the second) is divided."""
        return NamedSharding(self.mesh, P(None, AXIS) if scan else P(AXIS))

    def place_batch(self, batch: PyTree, scan: bool = False) -> PyTree:
        """Put this process's part of a batch on its devices.

        Args:
            batch: host arrays whose leading axis is this process's part of the batch.
            scan: the leading axis counts steps, and the batch comes second.
        """
        sharding = self.batch_sharding(scan)
        if jax.process_count() > 1:
            place = jax.make_array_from_process_local_data
            return jax.tree.map(lambda x: place(sharding, x), batch)
        if self.strategy == "pmap":
            # pmap places host arrays itself, in half the time of device_put.
            return jax.tree.map(lambda x: self._split(x, 1 if scan else 0), batch)
        return jax.device_put(batch, sharding)

    def local_rows(self, outputs: PyTree) -> PyTree:
        """Bring this process's rows of what an evaluation step gives for each example."""

        def rows(x):
            shards = {s.index[0].start or 0: s.data for s in x.addressable_shards}
            return np.concatenate([np.asarray(shards[start]) for start in sorted(shards)])

        return jax.device_get(outputs) if jax.process_count() == 1 else jax.tree.map(rows, outputs)

    def fetch(self, tree: PyTree) -> PyTree:
        """Bring arrays of the state to the host, whole in every process."""
        if jax.process_count() > 1:
            whole = NamedSharding(self.mesh, P())
            tree = jax.jit(lambda tree: tree, out_shardings=whole)(tree)
        return jax.device_get(tree)

    def wrap(
        self, step: Callable[..., Any], *, state: PyTree, train: bool, scan: bool = False
    ) -> Callable[..., Any]:
        """Compile `step(state, batch, data, axis_name)` for this strategy.

        The training step (`train`) gives back a state and donates the old one; the evaluation
        step gives back metrics and per-example outputs in the order of the batch.
        """
        donate = (0,) if train else ()
        if self.strategy == "pmap" and jax.process_count() > 1:
            # What pmap is made of. Itself it gives each process arrays of its own devices only,
            # which cannot be saved as one state.
            mapped = jax.shard_map(
                lambda state, batch, data: step(state, batch, data, AXIS),
                mesh=self.mesh,
                in_specs=(P(), self.batch_sharding(scan).spec, P()),
                out_specs=(P(), P()) if train else (P(), P(AXIS)),
                check_vma=False,
            )
            return jax.jit(mapped, donate_argnums=donate)
        if self.strategy == "pmap":
            mapped = jax.pmap(
                lambda state, batch, data: step(state, batch, data, AXIS),
                axis_name=AXIS,
                in_axes=(None, 1 if scan else 0, None),
                out_axes=(None, None) if train else (None, 0),  # type: ignore[arg-type]
                devices=list(self.mesh.devices.flat),
                donate_argnums=donate,
            )
            return mapped if train else _joined(mapped)

        replicated = NamedSharding(self.mesh, P())
        shardings = self.state_sharding(state)
        batches = self.batch_sharding(scan)
        # Each process keeps its own rows: `evaluate` joins them.
        outputs = replicated if jax.process_count() == 1 else batches
        out = (shardings, replicated) if train else (replicated, outputs)
        return jax.jit(
            lambda state, batch, data: step(state, batch, data, None),
            in_shardings=(shardings, batches, replicated),
            out_shardings=out,
            donate_argnums=donate,
        )

    def _split(self, x: Any, axis: int) -> Any:
        parts = self.devices
        return x.reshape(*x.shape[:axis], parts, x.shape[axis] // parts, *x.shape[axis + 1 :])


def _place(x: Any, sharding: NamedSharding) -> jax.Array:
    if jax.process_count() == 1:
        # Memory that a step can be given: of this array alone. `may_alias=False` does not copy
        # what happens to be aligned.
        own = x.copy() if isinstance(x, jax.Array) else np.array(x)
        return jax.device_put(own, sharding)
    # device_put would send everything around, to see whether it is the same everywhere.
    host = np.asarray(x)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: np.array(host[index]))


def _joined(mapped: Callable[..., Any]) -> Callable[..., Any]:
    """Give per-example outputs one batch axis again: devices, examples -> batch."""

    def call(state, batch, data):
        metrics, outputs = mapped(state, batch, data)
        return metrics, jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), outputs)

    return call


def make(strategy: str = "pmap", devices: int = 0) -> Parallel:
    """Return a strategy over the first `devices` devices (0: all of them).

    Every process takes part with equally many, and its part of a batch lies on its own.

    Raises:
        UserError: for an unknown strategy, more devices than there are, or processes that
            cannot have equally many.
    """
    pick(STRATEGIES, strategy, "parallel.strategy")
    there = jax.devices()
    if not 0 <= devices <= len(there):
        raise UserError(
            f"parallel.devices={devices}, but there are {len(there)} {there[0].platform} devices"
        )
    chosen = share(there, devices or len(there), jax.process_count())
    return Parallel(strategy, Mesh(np.array(chosen), (AXIS,)))


def share(there: list[Any], wanted: int, processes: int) -> list[Any]:
    """Return so many of the devices, equally many of each process, in the order of processes.

    Raises:
        UserError: if that cannot be.
    """
    each, rest = divmod(wanted, processes)
    chosen = [
        device
        for process in range(processes)
        for device in [d for d in there if d.process_index == process][:each]
    ]
    if rest or len(chosen) != wanted:
        raise UserError(
            f"parallel.devices={wanted} cannot be divided among the {processes} processes: "
            "each has to bring equally many"
        )
    return chosen
