"""The tables of `docs/scaling.md`: the time model and the cost of failures, with their numbers."""

import math

from benchmarks.scaling import scaling_model
from benchmarks.scaling.scaling_model import Cluster, Workload

# Parameters, statistics and multiply-adds as `launch.py models` counts them. The efficiency is
# assumed: about what mixed precision reaches on such devices.
RESNET = Workload("ResNet-50", 25_557_032, 3_857_973_248, 0.2, statistics=53_120)
VGG = Workload("VGG-16", 138_357_544, 15_470_264_320, 0.4)
# Under jit and fsdp every BatchNorm layer waits for statistics of the whole batch.
RESNET_SYNC = Workload(
    "ResNet-50, jit", 25_557_032, 3_857_973_248, 0.2, statistics=53_120, collectives=155
)
# Data sheets: A100 SXM, 312e12 bfloat16 operations and 300e9 bytes a second each way over NVLink;
# eight 200 Gb/s adapters in a node, or one of 100 Gb/s for all eight. 440 images a second a core as
# measured in results/input_pipeline_cpu.json on 2 cores, and 96 cores in a node.
DECODE = 440 * 96
INFINIBAND = Cluster("A100, 8 x 200 Gb/s", 312e12, 8, 300e9, 25e9, decode=DECODE, read=2e9)
ETHERNET = Cluster("A100, 100 Gb/s", 312e12, 8, 300e9, 100e9 / 8 / 8, decode=DECODE, read=2e9)
DEVICES = (1, 8, 64, 1024)
# Bytes a second at which a checkpoint leaves the devices and arrives in shared storage.
STORAGE = 1e9
# Device-seconds for each failure. 419 unexpected ones in 54 days of 16,384 (Llama 3, Grattafiori
# et al. 2024, section 3.3.4); one in 7.5 hours of 1,024, as reported of OPT-175B.
FAILURES = {
    "Llama 3's": 54 * 24 * 3600 * 16_384 / 419,
    "OPT-175B's": 7.5 * 3600 * 1024,
}
RESTART = 600.0


def rows() -> list[dict[str, object]]:
    """Return the rows of all tables, distinguished by their `part`."""
    return [*times(), *balances(), *checkpoints()]


def times() -> list[dict[str, object]]:
    """Return the milliseconds of a step and of its parts, with 32 and 256 images a device."""
    return [
        _time(work, cluster, devices, images)
        for cluster in (INFINIBAND, ETHERNET)
        for work in (RESNET, RESNET_SYNC, VGG)
        for images in (32, 256)
        for devices in DEVICES
    ]


def _time(work: Workload, cluster: Cluster, devices: int, images: int) -> dict[str, object]:
    step = scaling_model.step(work, cluster, devices, images)
    hidden = scaling_model.step(work, cluster, devices, images, overlap=1.0)
    return {
        "part": "time",
        "cluster": cluster.name,
        "model": work.name,
        "devices": devices,
        "images": images,
        "compute": 1e3 * step.compute,
        "exchange": 1e3 * step.exchange,
        "input": 1e3 * step.input,
        "step": 1e3 * step.total,
        "bound": step.bound,
        "efficiency": step.efficiency,
        "overlapped": hidden.efficiency,
        "images/s": round(devices * images / step.total),
    }


def balances() -> list[dict[str, object]]:
    """Return how many images a device it takes for compute to last as long as the exchange."""
    return [
        {
            "part": "balance",
            "cluster": cluster.name,
            "model": work.name,
            "devices": devices,
            "images": math.ceil(scaling_model.balance(work, cluster, devices)),
        }
        for cluster in (INFINIBAND, ETHERNET)
        for work in (RESNET, RESNET_SYNC, VGG)
        for devices in DEVICES[1:]
    ]


def checkpoints() -> list[dict[str, object]]:
    """Return the interval of checkpoints that loses least, and what is lost with it."""
    found = []
    for work in (RESNET, VGG):
        # Parameters and momentum; statistics too.
        size = 8 * work.parameters + 4 * work.statistics
        save = size / STORAGE
        for devices in DEVICES[1:]:
            for name, device_seconds in FAILURES.items():
                failure = scaling_model.mean_time_to_failure(devices, device_seconds)
                interval = scaling_model.save_interval(save, failure)
                found.append(
                    {
                        "part": "checkpoints",
                        "model": work.name,
                        "devices": devices,
                        "failures": name,
                        "MB": size / 1e6,
                        "save, s": save,
                        "to failure, h": failure / 3600,
                        "interval, min": interval / 60,
                        "lost, %": 100 * scaling_model.lost(interval, save, failure, RESTART),
                    }
                )
    return found
