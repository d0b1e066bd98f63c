"""What only an accelerator can show, in at most 8 minutes: a line of result a check, and a JSON.

    bash benchmarks/gpu_check.sh
    python benchmarks/gpu_check.py --only='layers|resume' --tiny

Each check runs in a process with a time limit, so that none takes another's time, memory or result:
first those that compare (`gpu_numerics`), side by side, then those that are timed (`gpu_speed`),
one after the other. On CPU, and with --tiny, sizes are the smallest that run. Exit status 0: no
check failed; one that lacks PyTorch is skipped.
"""

import argparse
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import SkipTest

from timing import write

SECONDS = 465  # of the whole: 8 minutes, less what starting and stopping take
# By name, the function and the most seconds it may take; the last has what is left. A function is
# given `tiny` and returns a dict: `line`, values for the JSON and, where it compares, `passed`.
CHECKS = {
    "layers": ("gpu_numerics:layers", 100),
    "losses": ("gpu_numerics:losses", 100),
    "models": ("gpu_numerics:models", 100),
    "strategies": ("gpu_numerics:strategies", 100),
    "resume": ("gpu_numerics:resume", 100),
    "rates": ("gpu_speed:rates", 25),
    "attention": ("gpu_speed:attention", 30),
    "scan": ("gpu_speed:scan", 90),
    "resnet50": ("gpu_speed:resnet50", 120),
    "jpegs": ("gpu_speed:jpegs", 30),
    "torch": ("gpu_speed:torch_resnet50", SECONDS),
}


def run(checks, *, tiny=False, seconds=SECONDS) -> list[dict]:
    """Run checks, print a line of each as it ends, and return the results."""
    patience = 5 if tiny else 1  # of a busy machine whose times mean nothing
    deadline = time.monotonic() + patience * seconds

    def one(item):
        name, (function, limit) = item
        start = time.monotonic()
        found = _in_process(function, tiny, min(patience * limit, deadline - start))
        found = {"check": name, "seconds": round(time.monotonic() - start, 1), **found}
        line = f"{found['status']}  {name:10}  {found['seconds']:5.1f} s  {found['line']}"
        print(line, flush=True)
        return found

    timed = {name: check for name, check in checks.items() if check[0].startswith("gpu_speed")}
    others = {name: check for name, check in checks.items() if name not in timed}
    with ThreadPoolExecutor(len(others) or 1) as pool:
        found = list(pool.map(one, others.items()))
    return found + [one(item) for item in timed.items()]


def _in_process(function: str, tiny: bool, limit: float) -> dict:
    if limit < 1:
        return {"status": "FAIL", "line": "no time was left"}
    environment = dict(os.environ)
    # The device's memory is shared by several processes, and by JAX and PyTorch.
    environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    platforms = environment.get("JAX_PLATFORMS", "")
    if platforms and "cpu" not in platforms.split(","):
        environment["JAX_PLATFORMS"] = f"{platforms},cpu"  # the device is compared with it
    with tempfile.TemporaryDirectory() as folder:
        file, log = Path(folder, "result.json"), Path(folder, "log")
        command = [sys.executable, __file__, f"--run={function}", f"--json={file}"]
        with log.open("w") as out:
            process = subprocess.Popen(
                command + ["--tiny"] * tiny,
                stdout=out,
                stderr=out,
                env=environment,
                start_new_session=True,
            )
            try:
                process.wait(limit)
            except subprocess.TimeoutExpired:
                return {"status": "FAIL", "line": f"not done after {limit:.0f} s"}
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
                    process.wait()
        if file.exists():
            return json.loads(file.read_text())
        last = (log.read_text(errors="replace").strip() or "no output").split("\n")[-1]
        return {"status": "FAIL", "line": f"exit status {process.returncode}: {last[:300]}"}


def run_here(function: str, tiny: bool) -> dict:
    """Run a check in this process; return status, line, values, device and its peak memory."""
    found, device = {}, {}
    try:
        import jax

        first = jax.devices()[0]
        device = {"device": first.device_kind}
        module, _, name = function.partition(":")
        found = getattr(importlib.import_module(module), name)(tiny or first.platform == "cpu")
        peak = (first.memory_stats() or {}).get("peak_bytes_in_use", 0)
        if peak:
            found["peak GB"] = peak / 1e9
            found["line"] += f"; peak memory {peak / 1e9:.1f} GB"
        status = "pass" if found.pop("passed", True) else "FAIL"
    except SkipTest as why:
        status, found = "skip", {"line": str(why)}
    except Exception as error:
        traceback.print_exc()
        text = (str(error).strip() or "no message").split("\n")[0]
        status, found = "FAIL", {"line": f"{type(error).__name__}: {text[:300]}"}
    return {"status": status, **found, **device}


def summary(results: list[dict]) -> str:
    """Return the last line, without the time."""
    of = {s: [r["check"] for r in results if r["status"] == s] for s in ("pass", "FAIL", "skip")}
    parts = [f"{len(of['pass'])} of {len(results)} checks passed"]
    parts += [f"failed: {', '.join(of['FAIL'])}"] * bool(of["FAIL"])
    parts += [f"skipped: {', '.join(of['skip'])}"] * bool(of["skip"])
    peaks = [(r["peak GB"], r["check"]) for r in results if "peak GB" in r]
    parts += ["peak memory {:.1f} GB ({})".format(*max(peaks))] if peaks else []
    return "; ".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="checks whose name matches this pattern")
    parser.add_argument("--tiny", action="store_true", help="the smallest sizes, as on CPU")
    parser.add_argument("--json", default="", help="default: results/gpu_check_DEVICE.json")
    parser.add_argument("--run", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        Path(options.json).write_text(json.dumps(run_here(options.run, options.tiny)))
        return 0
    start = time.monotonic()
    chosen = {name: check for name, check in CHECKS.items() if re.search(options.only, name)}
    if not chosen:
        sys.exit(f"no check matches --only={options.only}; there are: {', '.join(CHECKS)}")
    results = run(chosen, tiny=options.tiny)
    device = next((r["device"] for r in results if "device" in r), "none")
    name = re.sub(r"\W+", "_", device).lower()
    path = options.json or Path(__file__).parent / "results" / f"gpu_check_{name}.json"
    write(path, results, device=device)
    print(f"{summary(results)}; {time.monotonic() - start:.0f} s on {device}; written to {path}")
    return int(any(r["status"] == "FAIL" for r in results))


if __name__ == "__main__":
    sys.exit(main())
