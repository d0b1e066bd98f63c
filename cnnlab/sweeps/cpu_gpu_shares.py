"""Division of a machine's cores and GPUs among parallel trials."""

import dataclasses
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Share:
    """Cores and environment of one of the places that trials run in.

    Attributes:
        cores: numbers of the cores; empty: any, as the system finds best.
        environment: variables to add to a trial's.
    """

    cores: tuple[int, ...]
    environment: dict[str, str]


def shares(
    places: int, environment: Mapping[str, str], cores: Sequence[int], gpus: Sequence[str]
) -> list[Share]:
    """Return the share of each place: cores of its own if they suffice, GPUs round robin.

    Bound to its cores, a trial starts as many threads as it has cores. A trial that is alone is
    not bound, nor are those that are more than the cores: the system balances them better.

    Args:
        places: trials that run at once.
        environment: that trials inherit.
        cores: that this process may use.
        gpus: names of the GPUs, as CUDA_VISIBLE_DEVICES has them.
    """
    result = []
    for place in range(places):
        added = {}
        if gpus:
            added["CUDA_VISIBLE_DEVICES"] = ",".join(_part(gpus, place, places))
            together = -(-places // len(gpus))
            if together > 1 and not any("MEM_FRACTION" in name for name in environment):
                # JAX would take three quarters of the memory for the first of them.
                added["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{0.9 / together:.3f}"
        bound = 1 < places <= len(cores)
        result.append(Share(tuple(_part(cores, place, places)) if bound else (), added))
    return result


def available_cores() -> list[int]:
    """Return the cores that this process may use; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def available_gpus(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the GPUs, found without JAX: it would take their memory."""
    if environment.get("JAX_PLATFORMS", "") in ("cpu", "tpu"):
        return []
    if "CUDA_VISIBLE_DEVICES" in environment:
        return [name for name in environment["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=30
        ).stdout
        count = sum(line.startswith("GPU ") for line in listed.splitlines())
    except (OSError, subprocess.SubprocessError):
        count = len(list(Path("/dev").glob("nvidia[0-9]*")))
    return [str(number) for number in range(count)]


def _part(things: Sequence[T], place: int, places: int) -> Sequence[T]:
    if len(things) >= places:
        return things[place::places]
    return [things[place % len(things)]] if things else []
