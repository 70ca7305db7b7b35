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
POSITIONAL=("$CONFIG" "$CHECKPOINT")
shift 3

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHON=${PYTHON:-python}
# Without a setting torchrun gives each process one thread; on a machine
# without GPUs the threads do the work, so the cores are shared out.
if [ -z "${OMP_NUM_THREADS:-}" ]; then
    CORES=$(nproc)
    export OMP_NUM_THREADS=$((CORES > GPUS ? CORES / GPUS : 1))
fi

PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" exec "$PYTHON" \
    -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$ROOT/tools/test.py" "${POSITIONAL[@]}" --launcher pytorch "$@"
