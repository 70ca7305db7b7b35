#!/usr/bin/env bash
# Copyright (c) costa_mm authors. All rights reserved.
# Test on a Slurm cluster.
#
#   bash tools/slurm_test.sh PARTITION JOB_NAME \
#       CONFIG CHECKPOINT [OPTIONS OF tools/test.py]
#
# Settings: GPUS (in all, default 8), GPUS_PER_NODE (8), CPUS_PER_TASK (5),
# SRUN_ARGS (more options of srun), PORT, PYTHON. Slurm sends SIGTERM before it
# takes the machines back; give the run time to save with
# SRUN_ARGS='--signal=TERM@120'.
set -euo pipefail

if [ $# -lt 4 ]; then
    echo "usage: bash $0 PARTITION JOB_NAME CONFIG CHECKPOINT [OPTIONS]" >&2
    exit 2
fi
PARTITION=$1
JOB_NAME=$2
CONFIG=$3
CHECKPOINT=$4
shift 4

exec bash "$(dirname "${BASH_SOURCE[0]}")/slurm_run.sh" "$PARTITION" \
    "$JOB_NAME" test.py "$CONFIG" "$CHECKPOINT" --launcher slurm "$@"
