"""Checkpoint interval and lost time for a given failure rate (Young 1974)."""

import math

Number = int | float


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
