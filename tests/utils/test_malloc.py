"""Freed memory is kept."""

import subprocess
import sys
from pathlib import Path

import pytest

from cnnlab.utils.malloc import keep_freed_memory

ROOT = Path(__file__).resolve().parents[2]
PAGES = """
import resource, sys, threading
import numpy as np
from cnnlab.utils.malloc import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    for _ in range(3):
        before = faults()
        block = np.ones(48 << 20, np.uint8)
        del block
        counts.append(faults() - before)

kept, counts = keep_freed_memory(), []
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(kept, *counts)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_a_block_that_was_freed_is_had_again_without_page_faults():
    run = subprocess.run(
        [sys.executable, "-c", PAGES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    kept, first, *again = run.stdout.split()
    if kept == "False":
        pytest.skip("not glibc")
    assert max(map(int, again)) < int(first) / 10


def test_another_system_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not keep_freed_memory()
