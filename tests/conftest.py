"""Eight simulated devices, a shared compilation cache, and no network for every test."""

import ctypes
import gc
import mmap
import os
import sys
from collections import defaultdict
from importlib import metadata
from pathlib import Path

import pytest

# Tests compile far more than they compute: optimizing costs more than it gains.
FLAGS = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
if metadata.version("jaxlib").startswith("0.10."):
    # Four times as fast to compile. Another version may not know them, and would abort.
    FLAGS += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {FLAGS}"
CACHE = Path(__file__).resolve().parent.parent / ".cache"
os.environ.setdefault("CNNLAB_DATA", str(CACHE / "data"))
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE / "jax"))
# Most programs are small, and the same in many tests, in both workers and in what they start.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Collecting tests makes millions of objects that all stay.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark as slow what `sample(n)` leaves out: cases of a table go through much the same."""
    tables = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sample") and not item.get_closest_marker("slow"):
            tables[item.nodeid.partition("[")[0]].append(item)
    for cases in tables.values():
        (count,) = cases[0].get_closest_marker("sample").args
        chosen = {i * len(cases) // count for i in range(count)}
        for i, case in enumerate(cases):
            if i not in chosen:
                case.add_marker(pytest.mark.slow)


def pytest_collection_finish():
    """Spare every later collection of garbage what has been imported, and collect less often."""
    gc.freeze()
    gc.set_threshold(50_000)
    gc.enable()


STATM = Path("/proc/self/statm")
# Bytes; what one test compiles comes on top.
LIMIT = 2 << 30


@pytest.fixture(autouse=True)
def keep_path():
    """Let no test find modules in the folders that another has worked in."""
    before = sys.path[:]
    yield
    sys.path[:] = before


@pytest.fixture(autouse=True)
def free_programs():
    """Free what tests have compiled before it is gigabytes a worker."""
    yield
    if STATM.exists() and int(STATM.read_text().split()[1]) * mmap.PAGESIZE < LIMIT:
        return
    import jax

    jax.clear_caches()
    gc.collect()
    # glibc keeps what is freed below what is in use.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
