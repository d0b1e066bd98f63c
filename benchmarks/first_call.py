"""Seconds until the first step of a model is done, with and without compiled code at hand.

    python benchmarks/first_call.py --json=benchmarks/results/first_call_cpu.json

Each number is of a fresh process that imported everything before: tracing, compiling and one step
of `models_vs_torch`, first with an empty folder for JAX's persistent cache, then with what that
process left there. Wall time on one core unless --cores says otherwise.
"""

import re
import subprocess
import sys
import tempfile
import time

from models_vs_torch import Case, Ours, cases
from timing import arguments, pin, show, write


def first_call(case: Case, cores: str) -> dict[str, object]:
    """Return the seconds of two fresh processes that share a cache."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            command = [sys.executable, __file__, f"--once={case.name}", f"--cache={folder}"]
            done = subprocess.run(
                [*command, f"--cores={cores}"], stdout=subprocess.PIPE, text=True, check=True
            )
            found.append(float(done.stdout.split()[-1]))
    return {"model": case.name, "without cache, s": found[0], "with cache, s": found[1]}


def once(case: Case, cache: str) -> float:
    """Return the seconds of building a step and calling it, with a folder for compiled code."""
    import jax
    import optax  # noqa: F401

    import cnnlab.models  # noqa: F401

    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    start = time.perf_counter()
    Ours(case)(1)
    return time.perf_counter() - start


def main():
    parser = arguments(__doc__)
    parser.set_defaults(cores="0")
    parser.add_argument("--only", default="", help="models whose name matches this pattern")
    parser.add_argument("--once", default="", help="this model, in this process")
    parser.add_argument("--cache", default="", help="folder for compiled code, with --once")
    options = parser.parse_args()
    pin(options.cores)
    if options.once:
        print(once(next(c for c in cases() if c.name == options.once), options.cache))
        return
    chosen = [c for c in cases() if re.search(options.only, f"{c.name} {c.model}")]
    rows = []
    for case in chosen:
        rows.append(first_call(case, options.cores))
        print(case.name, "done", file=sys.stderr, flush=True)
    show(rows)
    write(options.json, rows)


if __name__ == "__main__":
    main()
