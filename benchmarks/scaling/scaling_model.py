"""Cost model of a data-parallel training step on many devices, and of checkpoints and failures.

On n devices, g of them in a node, each with b images:

    compute    = 6 MACs b / (peak rate x efficiency)
    all-reduce = 2 (k - 1) (bytes / (k bandwidth) + latency) in a ring of k, or
                 2 (bytes / bandwidth + log2(k) latency) in a pipelined tree: a ring of the g
                 devices of each node with all bytes, then the better of both among the n / g
                 devices of one place in their nodes, over the network, with bytes / g
    input      = b g / (images a second that a node decodes), or its bytes over what storage gives
    step       = max(compute + all-reduce - overlap with the backward pass, input)

Six operations a MAC: multiplication and addition, forward and twice backward. Not modeled:
stragglers, contention of jobs, the optimizer's own pass over the parameters (their bytes over the
memory's bandwidth, below 1 % here), and the host.

Rings: Patarasuk & Yuan 2009. Trees: Sanders, Speck & Traff 2009, as in NCCL. Two levels:
reduce-scatter within the node, all-reduce between nodes, all-gather within the node.
"""

import dataclasses
import math

Number = int | float


@dataclasses.dataclass(frozen=True)
class Workload:
    """Computation and communication of one training step.

    Attributes:
        name: of the network.
        parameters: number of them; gradients are exchanged in float32.
        macs: of a forward pass, for one image.
        efficiency: share of the device's peak rate that the network reaches (assumed).
        statistics: BatchNorm's running statistics, averaged with the gradients under pmap.
        image_bytes: of one encoded image, read from storage.
        collectives: all-reduces of a step; each waits for the latency of its hops.
    """

    name: str
    parameters: int
    macs: int
    efficiency: Number
    statistics: int = 0
    image_bytes: Number = 110e3
    collectives: int = 1

    @property
    def bytes(self) -> int:
        """Bytes of an all-reduce of gradients and statistics."""
        return 4 * (self.parameters + self.statistics)


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Machines, by their data sheets; rates are of one direction.

    Attributes:
        name: of the machines.
        peak: operations a second of a device.
        node_devices: devices in a node.
        link: bytes a second between a device and the others of its node.
        network: bytes a second of a device's share of its node's network.
        link_latency: seconds of one hop within a node.
        network_latency: seconds of one hop between nodes.
        decode: images a second that a node's processors decode and augment.
        read: bytes a second that storage gives to a node.
    """

    name: str
    peak: Number
    node_devices: int
    link: Number
    network: Number
    link_latency: Number = 3e-6
    network_latency: Number = 10e-6
    decode: Number = math.inf
    read: Number = math.inf


@dataclasses.dataclass(frozen=True)
class Step:
    """Seconds of one step and of its parts.

    Attributes:
        compute: forward and backward pass.
        exchange: the all-reduces.
        exposed: the part of them that does not overlap with the backward pass.
        input: decoding or reading a node's images, whichever takes longer.
    """

    compute: float
    exchange: float
    exposed: float
    input: float

    @property
    def total(self) -> float:
        """Seconds from one step to the next: input is prepared during the step before."""
        return max(self.compute + self.exposed, self.input)

    @property
    def bound(self) -> str:
        """The bottleneck: `input`, `exchange` or `compute`."""
        if self.input > self.compute + self.exposed:
            return "input"
        return "exchange" if self.exposed > self.compute else "compute"

    @property
    def efficiency(self) -> float:
        """Share of the time in which the device computes."""
        return self.compute / self.total


def ring(nbytes: Number, members: int, bandwidth: Number, latency: Number) -> float:
    """Return the seconds of a ring all-reduce: each member sends twice all parts but its own.

    Args:
        nbytes: of the array that is reduced.
        members: of the ring.
        bandwidth: bytes a second that each sends.
        latency: seconds of one hop.
    """
    if members < 2:
        return 0.0
    return 2 * (members - 1) * (nbytes / members / bandwidth + latency)


def tree(nbytes: Number, members: int, bandwidth: Number, latency: Number) -> float:
    """Return the seconds of an all-reduce up and down two pipelined trees; arguments of `ring`."""
    if members < 2:
        return 0.0
    return 2 * (nbytes / bandwidth + math.ceil(math.log2(members)) * latency)


def all_reduce(nbytes: Number, devices: int, cluster: Cluster, count: int = 1) -> float:
    """Return the seconds of `count` all-reduces of `nbytes` in all, within nodes and between."""
    within = min(devices, cluster.node_devices)
    nodes = -(-devices // cluster.node_devices)
    part = nbytes / count
    inside = ring(part, within, cluster.link, cluster.link_latency)
    network = part / within, nodes, cluster.network, cluster.network_latency
    between = min(ring(*network), tree(*network))
    return count * (inside + between)


def compute(work: Workload, cluster: Cluster, images: int) -> float:
    """Return the seconds of forward and backward pass over a device's images."""
    return 6 * work.macs * images / (cluster.peak * work.efficiency)


def step(
    work: Workload, cluster: Cluster, devices: int, images: int, *, overlap: Number = 0
) -> Step:
    """Return the time of one step.

    Args:
        work: the network.
        cluster: the machines.
        devices: number of them in all.
        images: for each device.
        overlap: share of the backward pass that the exchange can overlap with. One combined
            all-reduce waits for the last gradient: 0.
    """
    busy = compute(work, cluster, images)
    exchange = all_reduce(work.bytes, devices, cluster, work.collectives)
    rows = images * min(devices, cluster.node_devices)
    fetch = max(rows / cluster.decode, rows * work.image_bytes / cluster.read)
    return Step(busy, exchange, max(0.0, exchange - overlap * busy * 2 / 3), fetch)


def balance(work: Workload, cluster: Cluster, devices: int) -> float:
    """Return the images a device at which compute takes as long as the exchange; fewer are bound
    by the exchange."""
    exchange = all_reduce(work.bytes, devices, cluster, work.collectives)
    return exchange / compute(work, cluster, 1)


def mean_time_to_failure(devices: int, device_seconds: Number) -> float:
    """Return the mean seconds between failures of a job that a failure of any device ends.

    Args:
        devices: of the job.
        device_seconds: of operation for each failure.
    """
    return device_seconds / devices


def save_interval(save: Number, failure: Number) -> float:
    """Return the seconds between checkpoints that lose least: sqrt(2 save failure) (Young 1974).

    Args:
        save: seconds that training stands still for a checkpoint.
        failure: mean seconds between failures; the formula holds for `save` well below it.
    """
    return math.sqrt(2 * save * failure)


def lost(interval: Number, save: Number, failure: Number, restart: Number = 0) -> float:
    """Return the share of time lost to saving, to repeated work, and to restarts.

    Args:
        interval: seconds between checkpoints.
        save: seconds that training stands still for one.
        failure: mean seconds between failures.
        restart: seconds from a failure until training goes on, queue included.
    """
    return save / interval + (interval / 2 + restart) / failure
