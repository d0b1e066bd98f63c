"""Stands for `launch.py train` in tests of sweeps: no JAX, and it does what its overrides say.

    stub_trial.py train --config=C --workdir=W --config.do=WHAT [--config.KEY=VALUE ...]

WHAT: finish, crash (at import), die (SIGKILL), slow (a record every 20 ms until told to stop),
stubborn (as slow, but does not listen), full (as on a full disk), quit (ends early, silently).
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
if do == "crash":
    import no_such_module  # noqa: F401
if do == "full":
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
    if do in ("slow", "stubborn"):
        time.sleep(0.02)
    if stopped:
        mark.unlink()
        print(f"SIGTERM: saved at step {step} of {steps}; the same command goes on from there")
        sys.exit(0)
(workdir / "result.json").write_text(json.dumps({"environment": dict(os.environ)}))
mark.unlink()
print("done")
