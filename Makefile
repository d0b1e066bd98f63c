# `make demo` and `make test` work on a fresh machine: everything is installed into .venv.
PYTHON ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3,$(shell $(p) -c \
	'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $(p))))
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# Their requirements would replace the CPU build of torch.
UNBOUND := torchvision==0.28.0 timm==1.0.31 pytorch-metric-learning==2.9.0 lightly==1.6.0
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export CNNLAB_DATA ?= $(CURDIR)/.cache/data

.PHONY: demo test test-slow test-cluster test-parity lint format clean

demo: $(VENV)/.run  ## train LeNet-5 on scanned digits; result, curves and mistakes in runs/demo
	$(BIN)/python launch.py train --config=configs/digits_lenet5.py --workdir=runs/demo

test: $(VENV)/.dev  ## the test suite, but for what other targets run
	$(BIN)/python -m pytest -n $(WORKERS) --durations=10 -m "not slow and not parity and not cluster" $(PYTEST_ARGS)
	@echo "the comparisons with peer libraries wait in: make test-parity; long tests in: make test-slow"

test-slow: $(VENV)/.dev  ## what takes long and proves little more; a part of the suite as an older processor computes
	$(BIN)/python -m pytest -n $(WORKERS) -m "slow and not parity and not cluster" $(PYTEST_ARGS)

test-cluster: $(VENV)/.dev  ## many processes, and launches on a real Slurm of Debian's packages (needs root)
	$(BIN)/python -m pytest -m cluster -rs $(PYTEST_ARGS)

test-parity: $(VENV)/.parity  ## comparisons with peer libraries (large downloads)
	$(BIN)/python -m pytest -n $(WORKERS) -m parity $(PYTEST_ARGS)

lint: $(VENV)/.dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## what was built, but not what was trained
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "cnnlab needs Python 3.11, 3.12 or 3.13: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt requirements-launch.txt requirements.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@ $(VENV)/.run

$(VENV)/.parity: requirements-parity.txt $(VENV)/.dev
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-parity.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps $(UNBOUND)
	touch $@
