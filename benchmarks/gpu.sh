#!/usr/bin/env bash
# Tests and benchmark on a machine with an NVIDIA GPU, in under 8 minutes: bash benchmarks/gpu.sh
# Needs python3 with torch for CUDA. What is missing of numpy, safetensors, tqdm and pydantic, pip puts
# into a temporary folder. With pytest, hypothesis and tiktoken the CUDA tests run first; with
# transformers its model is timed, too.
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH="src:benchmarks" PYTHONUNBUFFERED=1
out="${OUT:-.}"
packages="$(mktemp -d)"
trap 'rm -rf "$packages"' EXIT
for name in numpy safetensors tqdm pydantic; do
  python3 -c "import $name" 2>/dev/null || python3 -m pip install --quiet --target "$packages" "$name"
done
export PYTHONPATH="$PYTHONPATH:$packages"
python3 -c 'import torch, sys; sys.exit(0 if torch.cuda.is_available() else "error: torch finds no GPU")'
if python3 -c 'import pytest, hypothesis, tiktoken' 2>/dev/null; then
  timeout 180 python3 -m pytest -q -p no:cacheprovider -k "gpu" tests/gpt2 tests/training | tee "$out/gpu-tests.txt"
else
  echo "CUDA tests: not run, since pytest, hypothesis or tiktoken is missing" | tee "$out/gpu-tests.txt"
fi
timeout 300 python3 benchmarks/gpu.py | tee "$out/gpu.md"
