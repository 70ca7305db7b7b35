#!/usr/bin/env bash
# Copyright (c) costa_mm authors. All rights reserved.
# Make the environment if needed, then run the tests.
#
#   bash tools/run_tests.sh [ARGUMENTS OF PYTEST]
#
# Without arguments the whole suite runs. Tests on real clips look for them in
# COSTA_TEST_DATA (default: ../shared/data) and skip where there are none.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$ROOT/tools/setup_env.sh"

# glibc hands every large buffer back to the kernel and asks for it again,
# which costs more than the arithmetic on a CPU. This keeps them.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false MPLBACKEND=Agg
unset PYTHONPATH PYTHONHOME

cd "$ROOT"
exec "${COSTA_VENV:-$ROOT/.venv}/bin/python" -m pytest "$@"
