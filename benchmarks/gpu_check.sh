#!/usr/bin/env bash
# What only an accelerator can show, in at most 8 minutes: benchmarks/README.md, "On a GPU".
#
#   bash benchmarks/gpu_check.sh [--install[=cuda12]] [options of gpu_check.py]
#
# PYTHON names the interpreter; the default is .venv/bin/python where that runs, else python3.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${PYTHON:-}" ]; then
  PYTHON=python3
  .venv/bin/python -c '' 2>/dev/null && PYTHON=.venv/bin/python
fi
case "${1:-}" in
  --install | --install=*)
    extra=${1#--install}
    extra=${extra#=}
    "$PYTHON" -m pip install -e ".[${extra:-cuda13}]"
    shift
    ;;
esac
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-$PWD/.cache/jax}
if ! "$PYTHON" -c 'import jax; print("jax", jax.__version__, jax.devices())'; then
  echo "jax is missing or has no device: bash benchmarks/gpu_check.sh --install" >&2
  exit 2
fi
exec "$PYTHON" benchmarks/gpu_check.py "$@"
