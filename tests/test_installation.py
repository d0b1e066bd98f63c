"""What pip installs: one package at the top, whole, with its data and its examples."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# The files that a wheel would have.
BUILD = """
import json
import setuptools
from distutils.core import run_setup
command = run_setup("setup.py", stop_after="config").get_command_obj("build_py")
command.build_lib = "built"
command.ensure_finalized()
print(json.dumps(command.get_outputs(include_bytecode=False)))
"""


@pytest.fixture(scope="module")
def files():
    pytest.importorskip("setuptools")
    command = [sys.executable, "-c", BUILD]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name).relative_to("built") for name in json.loads(done.stdout.splitlines()[-1])]


def test_only_cnnlab_is_at_the_top_of_what_is_installed(files):
    assert {file.parts[0] for file in files} == {"cnnlab"}


def test_everything_tracked_of_the_package_is_installed(files):
    folders = {
        "cnnlab": "cnnlab",
        "experiments": "cnnlab/experiments",
        "configs": "cnnlab/examples",
    }
    expected = {
        Path(place, file.relative_to(ROOT / folder))
        for folder, place in folders.items()
        for ending in ("py", "json")
        for file in (ROOT / folder).rglob(f"*.{ending}")
    }
    assert set(files) == expected


def test_the_package_loads_its_parts_when_they_are_named():
    code = "import sys, cnnlab; assert 'jax' not in sys.modules; print(cnnlab.models.create('mlp'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "MLP" in done.stdout, done.stderr
    done = subprocess.run(
        [sys.executable, "-c", "import cnnlab; cnnlab.modles"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "module 'cnnlab' has no attribute 'modles'" in done.stderr


@pytest.mark.slow
def test_installed_package_knows_its_objectives_examples_and_program(tmp_path):
    site = tmp_path / "site"
    for folder, place in {
        "cnnlab": "",
        "experiments": "experiments",
        "configs": "examples",
    }.items():
        for file in (ROOT / folder).rglob("*"):
            if file.suffix in (".py", ".json"):
                copy = site / "cnnlab" / place / file.relative_to(ROOT / folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
    # A person's own package of that name is not that of the objectives.
    own = tmp_path / "work" / "experiments"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text("raise SystemExit('imported')")

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "cnnlab", *arguments],
            cwd=own.parent,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            check=False,
        )

    shown = run("config", "--config=digits_lenet5:plain", "--config.steps=7")
    assert shown.returncode == 0, shown.stderr
    assert "--config.steps=7" in shown.stdout and "launch.py" not in shown.stdout
    unknown = run("train", "--config=q", "--workdir=a")
    assert unknown.returncode == 1 and "digits_lenet5" in unknown.stderr, unknown.stderr
    assert "cnnlab eval --workdir=" in run("eval", "--help").stdout
