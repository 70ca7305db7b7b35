#!/usr/bin/env bash
# Copyright (c) costa_mm authors. All rights reserved.
# Start a tool with torchrun, one process per GPU (or per CPU share);
# dist_train.sh and dist_test.sh call it.
#
#   bash tools/dist_run.sh GPUS TOOL [ARGUMENTS OF THE TOOL]
#
# Settings: NNODES, NODE_RANK, PORT, MASTER_ADDR, PYTHON (the interpreter),
# OMP_NUM_THREADS, OMP_WAIT_POLICY.
set -euo pipefail

GPUS=$1
TOOL=$2
shift 2

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PYTHON=${PYTHON:-python}
# Without a setting torchrun gives each process one thread; on a machine
# without GPUs the threads do the work, so the cores are shared out.
if [ -z "${OMP_NUM_THREADS:-}" ]; then
    CORES=$(nproc)
    export OMP_NUM_THREADS=$((CORES > GPUS ? CORES / GPUS : 1))
fi

# Threads that wait for each other sleep and do not spin.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}

# The first machine listens there; torchrun's own error is a page long.
if [ "${NODE_RANK:-0}" = 0 ] && \
        (exec 3<>"/dev/tcp/127.0.0.1/${PORT:-29500}") 2>/dev/null; then
    echo "PORT ${PORT:-29500} is in use, by another training on this machine" \
        "perhaps: choose another, PORT=29501 bash ..." >&2
    exit 1
fi

PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" exec "$PYTHON" \
    -m torch.distributed.run \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$ROOT/tools/$TOOL" "$@"
