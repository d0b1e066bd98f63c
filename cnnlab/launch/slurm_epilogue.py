"""End of a Slurm job script: records how srun ended and requeues the job where due.

    python -m cnnlab.launch.slurm_epilogue STATUS

Slurm counts a preempted job that exits in time as completed, and one whose process was killed as
failed; it requeues neither.
"""

import os
import sys
from pathlib import Path

from cnnlab.launch import jobs, slurm_queue
from cnnlab.launch.outcome import judge


def finish(status: int) -> int:
    """Record how this start of the job ended, requeue it where due; return the exit status.

    Args:
        status: exit status of the job step (srun).
    """
    path, start = Path(os.environ[jobs.RECORD]), int(os.environ[jobs.START])
    job = os.environ["SLURM_JOB_ID"]
    entries = jobs.read(path).get("starts", {})
    outcome = judge(
        status,
        entries.get(str(start), {}),
        slurm_queue.scheduler(job, start),
        failures=sum(entry.get("counted", False) for entry in entries.values()),
        requeues=int(os.environ[jobs.REQUEUES]),
    )
    again = outcome.again
    try:
        jobs.update(
            path,
            start,
            state=outcome.state,
            reason=outcome.reason,
            counted=outcome.counted,
            ended=jobs.now(),
        )
    except OSError as error:
        print(f"cnnlab: {path} cannot be written ({error.strerror})", file=sys.stderr)
        # Without a record, requeueing would have no limit.
        again = again and not outcome.counted
    reason = f": {outcome.reason}" if outcome.reason else ""
    print(f"cnnlab: {outcome.state}{reason}{'; requeued' if again else ''}", file=sys.stderr)
    if again and not slurm_queue.requeue(job):
        print(f"cnnlab: Slurm does not requeue job {job}: submit it again", file=sys.stderr)
    return 0 if outcome.state in ("finished", "stopped") else status


if __name__ == "__main__":
    sys.exit(finish(int(sys.argv[1])))
