"""Stands for `launch.py train` in tests of sweeps: no JAX, and it does what its overrides say.

    stub_trial.py train --config=C --workdir=W --config.do=WHAT [--config.KEY=VALUE ...]

WHAT: finish, crash (at import), die (SIGKILL), hold (waits halfway until it is asked to save and
stop, and runs to the end when started again), stubborn (as hold, but does not listen), meet (ends
only when a trial of another sweep process has begun), full (as on a full disk, once trial 0 has
a record), quit (ends early, silently).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

given = dict(a.removeprefix("--").split("=", 1) for a in sys.argv[2:])
workdir = Path(given["workdir"])
do = given.get("config.do", "finish")
steps = int(given.get("config.steps", "3"))
stopped = []
# Whoever waits in vain ends, and its test fails.
signal.alarm(600)
if do == "crash":
    import no_such_module  # noqa: F401
if do == "full":
    while not (workdir.parent / "0000" / "metrics.jsonl").exists() and workdir.name != "0000":
        time.sleep(0.01)
    print("error: the disk is full: free some space")
    sys.exit(1)
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True) if do != "stubborn" else None)
workdir.mkdir(parents=True, exist_ok=True)
mark = workdir / "running"
try:
    mark.open("x").close()
except FileExistsError:
    (workdir / "twice").touch()
(workdir / "config.json").write_text(json.dumps(given))
with (workdir / "starts").open("a") as file:
    file.write(f"{os.getpid()}\n")
with (workdir.parent / "sweeps").open("a") as file:
    file.write(f"{os.getppid()}\n")
metrics = workdir / "metrics.jsonl"
done = len(metrics.read_text().splitlines()) if metrics.exists() else 0
if do == "quit":
    mark.unlink()
    sys.exit(0)
for step in range(done + 1, steps + 1):
    with metrics.open("a") as file:
        value = float(given.get("config.value", "0.5")) * step / steps
        file.write(json.dumps({"step": step, "validation/accuracy": value}) + "\n")
    if do == "die":
        mark.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    while do == "meet" and len(set((workdir.parent / "sweeps").read_text().split())) < 2:
        time.sleep(0.01)
    while do in ("hold", "stubborn") and not (done or stopped) and step == (steps + 1) // 2:
        time.sleep(0.01)
    if stopped:
        mark.unlink()
        print(f"SIGTERM: saved at step {step} of {steps}; the same command goes on from there")
        sys.exit(0)
(workdir / "result.json").write_text(json.dumps({"environment": dict(os.environ)}))
mark.unlink()
print("done")
