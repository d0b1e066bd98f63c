"""What is compared to the last bits holds on another processor, too."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# Where a sum has one result in another order, or a step is compared with another program's.
PART = (
    "test_equivalence.py",
    "layers/attention/test_dot_product_backward.py",
    "layers/normalization/test_batch_norm.py",
    "layers/convolution/test_conv_backward.py",
    "layers/test_lsuv.py",
    "layers/pooling/test_pool.py",
    "layers/recurrent/test_gru.py",
    "layers/convolution/cpu",
    "losses",
    "evaluators",
    "training/test_initialization.py",
    "training/test_optimizers.py",
    "training/test_lookahead.py",
    "training/test_resume.py",
    "training/test_step.py",
)


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the instructions are x86-64's")
def test_numbers_hold_without_wide_vectors_and_fused_multiply_add(tmp_path):
    kept = {name: x for name, x in os.environ.items() if not name.startswith("PYTEST")}
    environment = {
        **kept,
        "XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2",
        # Programs of this processor are not for another.
        "JAX_COMPILATION_CACHE_DIR": f"{os.environ['JAX_COMPILATION_CACHE_DIR']}-SSE4_2",
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m",
               "not slow and not parity and not cluster", f"--basetemp={tmp_path / 'tests'}",
               *(str(TESTS / part) for part in PART)]  # fmt: skip
    done = subprocess.run(
        command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2000:]
