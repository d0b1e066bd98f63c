"""Runs of one seed are equal; those of two differ in their records and in their parameters."""

from pathlib import Path

import pytest

from cnnlab.commands import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def differences(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import compare_runs

    return compare_runs.differences


@pytest.mark.slow
def test_seeds_tell_runs_apart(differences, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        entries = {"seed": seed, "steps": 4, "log_every": 2, "evaluate.every": 4}
        flags = [f"--config.{key}={value}" for key, value in entries.items()]
        config = f"--config={ROOT / 'tests/commands/small_digits.py'}"
        assert main(["train", config, *flags, f"--workdir={tmp_path / name}"]) in (0, None)
    assert differences(tmp_path / "a", tmp_path / "b") == []
    found = differences(tmp_path / "a", tmp_path / "c")
    assert found[0].startswith("record 0") and "arrays differ, such as params/" in found[-1]
