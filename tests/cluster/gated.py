"""A tiny config whose run waits at a step until a file appears, so that a test can disturb it."""

import os
import time
from pathlib import Path

import small

STEP = 15


def get_config():
    """Return the config; `GATE` in the environment names the file."""
    if os.environ.get("GATE"):
        _hold(Path(os.environ["GATE"]))
    return small.config(
        steps=40,
        evaluate__every=10,
        checkpoint__every=10,
        parallel__devices=0,
        model__norm="batch",
    ).unlock()


def _hold(gate):
    """Let every process of a run say that it is at the step, and wait there."""
    from cnnlab.launch import jobs
    from cnnlab.training.loop import Loop

    after = Loop._after_step
    if after.__name__ == "held":
        return

    def held(loop, flag):
        if loop.step == STEP and not gate.exists():
            start, process = os.environ.get(jobs.START), os.environ.get(jobs.PROCESS)
            gate.with_name(f"at-{start}-{process}").write_text(str(os.getpid()))
            while not gate.exists():
                time.sleep(0.05)
        after(loop, flag)

    Loop._after_step = held
