#!/usr/bin/env bash
# Copyright (c) costa_mm authors. All rights reserved.
# Test with several processes, one per GPU (or per CPU share).
#
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [OPTIONS OF tools/test.py]
#
# Several nodes: run it on each, with the same MASTER_ADDR and PORT, NNODES set
# to their number and NODE_RANK to 0, 1, ... Settings: NNODES, NODE_RANK, PORT,
# MASTER_ADDR, PYTHON (the interpreter), OMP_NUM_THREADS.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: bash $0 CONFIG CHECKPOINT GPUS [OPTIONS]" >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
GPUS=$3
shift 3

exec bash "$(dirname "${BASH_SOURCE[0]}")/dist_run.sh" "$GPUS" test.py \
    "$CONFIG" "$CHECKPOINT" --launcher pytorch "$@"
