"""The check of a GPU: every check runs on CPU too, and none takes another's result with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"

CHECKS = """
import os, time
from unittest import SkipTest

def good(tiny):
    return {"line": f"tiny {tiny}", "number": 3}

def beyond(tiny):
    return {"line": "error 0.5", "passed": False, "errors": {"a": 0.5}}

def raises(tiny):
    raise ValueError("two\\nlines")

def dies(tiny):
    print("the last words", flush=True)
    os._exit(7)

def hangs(tiny):
    time.sleep(1000)

def lacks(tiny):
    raise SkipTest("PyTorch is missing")
"""


@pytest.fixture
def gpu_check(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(FOLDER)
    (tmp_path / "some_checks.py").write_text(CHECKS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{FOLDER.parent}")
    import gpu_check

    return gpu_check


def main(gpu_check, monkeypatch, folder, names, limit=600):
    checks = {name: (f"some_checks:{name}", limit) for name in names}
    monkeypatch.setattr(gpu_check, "CHECKS", checks)
    monkeypatch.setattr(sys, "argv", ["gpu_check.py", f"--json={folder}/x.json"])
    status = gpu_check.main()
    record = json.loads((folder / "x.json").read_text())
    return status, {row["check"]: row for row in record["rows"]}, record


@pytest.mark.slow
def test_a_check_that_fails_in_any_way_is_a_line_and_the_others_run(
    gpu_check, monkeypatch, tmp_path, capsys
):
    names = ["raises", "dies", "lacks", "beyond", "good"]
    status, rows, record = main(gpu_check, monkeypatch, tmp_path, names)
    assert status == 1
    assert {name: row["status"] for name, row in rows.items()} == {
        "raises": "FAIL",
        "dies": "FAIL",
        "lacks": "skip",
        "beyond": "FAIL",
        "good": "pass",
    }
    assert rows["raises"]["line"] == "ValueError: two"
    assert rows["dies"]["line"] == "exit status 7: the last words"
    assert rows["beyond"]["errors"] == {"a": 0.5}
    assert rows["good"]["line"] == "tiny True"  # there is only a CPU
    assert rows["good"]["number"] == 3
    assert record["device"] == "cpu"
    lines = capsys.readouterr().out.strip().split("\n")
    assert len(lines) == len(names) + 1
    assert lines[-1].startswith(
        "1 of 5 checks passed; failed: raises, dies, beyond; skipped: lacks; "
    )


def test_what_is_skipped_is_no_failure(gpu_check, monkeypatch, tmp_path):
    assert main(gpu_check, monkeypatch, tmp_path, ["lacks"])[0] == 0


def test_a_check_beyond_its_time_is_ended(gpu_check, monkeypatch, tmp_path):
    status, rows, _ = main(gpu_check, monkeypatch, tmp_path, ["hangs"], limit=1)
    assert (status, rows["hangs"]["line"]) == (1, "not done after 1 s")


def test_without_time_left_no_check_begins(gpu_check):
    (found,) = gpu_check.run({"good": ("some_checks:good", 100)}, seconds=0)
    assert (found["status"], found["line"]) == ("FAIL", "no time was left")


def test_the_times_of_all_checks_fit_in_eight_minutes(gpu_check):
    *checks, (last, rest) = gpu_check.CHECKS.values()
    together = max(limit for function, limit in checks if "numerics" in function)
    after = sum(limit for function, limit in checks if "speed" in function)
    assert "torch" in last
    assert rest - together - after >= 60
    assert gpu_check.SECONDS < 480


def test_a_platform_asked_for_alone_gets_cpu_beside_it(gpu_check, monkeypatch):
    seen = []

    class Process:
        returncode = 0

        def __init__(self, command, env, **_):
            seen.append(env)

        def wait(self, timeout=None):
            return 0

        poll = wait

    monkeypatch.setattr(gpu_check.subprocess, "Popen", Process)
    for given, expected in (("cuda", "cuda,cpu"), ("cpu", "cpu"), ("", "")):
        monkeypatch.setenv("JAX_PLATFORMS", given)
        gpu_check.run({"x": ("gpu_speed:x", 9)})
        assert seen[-1]["JAX_PLATFORMS"] == expected
        assert seen[-1]["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_an_error_is_that_of_the_worst_array_and_nan_is_beyond_all_bounds(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from gpu_numerics import error

    expected = {"large": np.array([3.0, 4.0]), "number": np.array([7])}
    assert error({"large": np.array([3.0, 4.5]), "number": np.array([8])}, expected) == 0.1
    # Below a hundredth of everything, an array is compared with that.
    tiny = {"large": np.array([30.0, 40.0]), "small": np.array([1e-9])}
    assert error({**tiny, "small": np.array([0.05])}, tiny) == pytest.approx(0.1)
    assert not error({**tiny, "small": np.array([np.nan])}, tiny) <= 1e9


def test_what_is_beyond_its_bound_is_named(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    import gpu_numerics

    def case(off):
        return lambda dtype, x: (1 + off * (dtype is not None)) * x, (np.float32([1, 2, 3]),)

    found = gpu_numerics._compare(
        "layers", {n: lambda n=n: case(n == "bad") for n in ("bad", "good")}
    )
    assert not found["passed"]
    assert found["line"].endswith("bfloat16 1.0e+00 (bound 5e-02); beyond it bad")
    assert found["errors"]["good"] == dict.fromkeys(("float32", "default", "bfloat16"), 0.0)
    assert gpu_numerics._compare("layers", {"good": lambda: case(False)})["passed"]
    # Out of time, nothing is compared, which is no success.
    monkeypatch.setattr(gpu_numerics, "SECONDS", -1)
    late = gpu_numerics._compare("losses", {"good": lambda: case(False)})
    assert (late["passed"], late["line"]) == (False, "0 of 1 losses")


def test_half_a_batch_is_tried_where_memory_is_too_small(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from gpu_speed import _largest

    def measure(batch):
        if batch > 64:
            raise RuntimeError(f"RESOURCE_EXHAUSTED: {batch}")
        return batch

    assert _largest(measure, 256) == 64
    with pytest.raises(RuntimeError, match="another"):
        _largest(lambda batch: (_ for _ in ()).throw(RuntimeError("another")), 256)


@pytest.mark.slow
def test_every_check_runs_on_cpu(tmp_path):
    command = ["bash", FOLDER / "gpu_check.sh", "--tiny", f"--json={tmp_path}/x.json"]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads((tmp_path / "x.json").read_text())["rows"]
    assert len(rows) == 11
    assert {row["check"] for row in rows if row["status"] == "skip"} <= {"torch"}
