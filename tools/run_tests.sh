#!/usr/bin/env bash
# Copyright (c) costa_mm authors. All rights reserved.
# Make the environment if needed, then run the tests.
#
#   bash tools/run_tests.sh [ARGUMENTS OF PYTEST]
#
# Without arguments (or with -q, -v and --durations=N alone) the whole suite
# runs, two parts at a time, since most tests keep one core busy; the output of
# a part comes when it has ended. Tests on real clips look for them in
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
PYTEST=("${COSTA_VENV:-$ROOT/.venv}/bin/python" -m pytest "$@")
for word in "$@"; do
    case $word in
        -q | -v | --durations=*) ;;
        *) exec "${PYTEST[@]}" ;;
    esac
done

# the longest part first; what is in none of these folders is one part, too
FOLDERS=(tests/test_engine tests/test_tools tests/test_models
    tests/test_datasets tests/test_apis)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
LOGS=$(mktemp -d)
trap 'rm -rf "$LOGS"' EXIT
run_part() {
    local log=$LOGS/$1
    shift
    "${PYTEST[@]}" "$@" >"$log" 2>&1 || touch "$LOGS/.failed"
    cat "$log"
}
run_part rest tests "${FOLDERS[@]/#/--ignore=}" &
for folder in "${FOLDERS[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
        wait -n || true
    done
    run_part "${folder##*/}" "$folder" &
done
wait
echo 'All parts:'
grep -hE '^(=+ )?[0-9]+ (passed|failed|skipped|error)' "$LOGS"/* || true
[ ! -e "$LOGS/.failed" ]
