"""How often to save when machines fail, and what saving and failing cost."""

import math

Number = int | float


def mean_time_to_failure(devices: int, device_seconds: Number) -> float:
    """Return the seconds between failures of a job that any device's failure ends.

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
    """Return the share of time that is lost: saving, work done again, and starting again.

    Args:
        interval: seconds between checkpoints.
        save: seconds that training stands still for one.
        failure: mean seconds between failures.
        restart: seconds from a failure until training goes on, queue included.
    """
    return save / interval + (interval / 2 + restart) / failure
