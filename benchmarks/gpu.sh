#!/usr/bin/env bash
# Check and time lkcfuse on a CUDA machine, in under ten minutes, and leave the figures in one file.
#
#     benchmarks/gpu.sh [gpu.json]
#
# Run in an environment with lkcfuse[dev] and a build of torch for CUDA.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec timeout 600 "${PYTHON:-python}" benchmarks/gpu.py --output "${1:-gpu.json}"
