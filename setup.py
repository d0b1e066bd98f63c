"""Packages to install: `cnnlab` alone, with `experiments/` and `configs/` as parts of it."""

from setuptools import find_packages, setup

MAPPED = {"cnnlab.experiments": "experiments", "cnnlab.examples": "configs"}
INNER = [f"{name}.{inner}" for name, folder in MAPPED.items() for inner in find_packages(folder)]

setup(packages=[*find_packages(include=["cnnlab*"]), *MAPPED, *INNER], package_dir=MAPPED)
