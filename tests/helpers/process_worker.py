"""What each process of a group does in the tests: python worker.py FOLDER HOST:PORT N K.

`test_group.py` says what has to come of it.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import jax
import numpy as np
import process_cases
import small

from cnnlab.launch import distributed, process_group
from cnnlab.runs.train import train
from cnnlab.training.interruption import Flag, Interrupted
from cnnlab.training.loop import Loop
from cnnlab.training.setup import Setup
from cnnlab.training.state import leaf_names


def talk():
    """Return what the functions of `cnnlab.launch.distributed` give this process."""
    me = distributed.kv_store.process_index()

    def fails():
        raise ValueError("nothing here\nand more")

    def raised(function, *arguments):
        try:
            return function(*arguments)
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def second():
        return fails() if me == 1 else me

    rows = {"wide": np.arange(me + 1, dtype=np.int64) + (me << 40), "flat": np.ones((me, 2, 3))}
    gathered = distributed.gather_rows(rows)
    distributed.barrier("here")
    return {
        "first": distributed.on_first_process(lambda: {"of": me}),
        "first fails": raised(distributed.on_first_process, fails),
        "together": distributed.all_or_none(lambda: me),
        "together fails": raised(distributed.all_or_none, second),
        "wide": gathered["wide"].tolist(),
        "flat": gathered["flat"].shape,
        "dtype": str(gathered["wide"].dtype),
    }


def stopped(workdir, settings, patched, name, process, number):
    """Train until a signal to one process, sent when it has called a method `number` times."""
    calls, kept = 0, getattr(patched, name)

    def counting(self, *arguments, **keywords):
        nonlocal calls
        calls += 1
        if calls == number:
            if distributed.kv_store.process_index() == process:
                os.kill(os.getpid(), signal.SIGUSR2)
            (flag,) = (x for x in (*arguments, *keywords.values()) if isinstance(x, Flag))
            while not flag._agreement._from:
                time.sleep(0.01)
        return kept(self, *arguments, **keywords)

    setattr(patched, name, counting)
    try:
        train(settings, workdir, "stop")
    except Interrupted as error:
        return str(error)
    finally:
        setattr(patched, name, kept)


def finished(workdir, settings):
    """Go on in a folder to the end; return the parameters and the step."""
    loop = Loop(small.build(settings), workdir)
    state, _, _ = loop.run()
    loop.checkpoints.close()
    return found(loop, state)


def found(loop, state):
    params = loop.setup.parallel.fetch(state.params)
    return dict(zip(leaf_names(params), jax.tree.leaves(params), strict=True)) | {"step": loop.step}


def main(folder, coordinator, number, process):
    process_group.connect(coordinator, int(number), int(process), initialization_timeout=120)
    last = int(number) - 1
    said = {"talk": talk()}
    run = process_cases.run("fsdp")
    said["step"] = stopped(folder / "step", run, Loop, "_after_step", last, 3)
    said["evaluation"] = stopped(folder / "step", run, Setup, "evaluate_split", last, 1)
    resumed = finished(folder / "step", run)
    if number == "2":
        train(run, folder / "whole", "stop")
        # A finished run is shown again, and read into another strategy.
        train(run, folder / "whole", "stop")
        said["resumed"] = process_cases.same(resumed, finished(folder / "whole", run))
    # What one process and two have written.
    for other in sorted(folder.parent.glob("*/whole")):
        read = finished(other, process_cases.run("jit"))
        if distributed.is_first():
            np.savez(folder / f"read-{other.parent.name}.npz", **read)
    for name, strategy in process_cases.GROUPS[folder.name][1]:
        numbers = process_cases.steps(name, strategy)
        if distributed.is_first():
            np.savez(folder / f"{name}-{strategy}.npz", **numbers)
    (folder / f"said-{process}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    with process_group.explain_lost_process():
        main(Path(sys.argv[1]), *sys.argv[2:])
