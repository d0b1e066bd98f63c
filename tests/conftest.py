"""Eight simulated devices, a shared compilation cache, and no network for every test."""

import os
from pathlib import Path

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    # Tests compile far more than they compute: optimizing costs more than it gains.
    + " --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
)
CACHE = Path(__file__).resolve().parent.parent / ".cache"
os.environ.setdefault("CNNLAB_DATA", str(CACHE / "data"))
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE / "jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
