#!/usr/bin/env bash
# Copyright (c) costa_mm authors. All rights reserved.
# From nothing to a trained grounder on a plain CPU: environment, synthetic
# videos, training of CoSTA-tiny, evaluation, demo.
#
#   bash tools/quickstart.sh [--seed N] [--video FILE --sentence TEXT]
#
#   --seed N        seed of the synthetic data (default 0)
#   --video FILE    also ground a sentence in a video of yours
#   --sentence TEXT what to look for in it
#
# It may be interrupted and run again: what is done is used again, and a
# training goes on where it was.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SEED=0 VIDEO='' SENTENCE=''
usage() { sed -n '3,15p' "${BASH_SOURCE[0]}" | sed 's/^# \{0,1\}//'; }
while [ $# -gt 0 ]; do
    case $1 in
        --seed | --video | --sentence)
            [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; } ;;
    esac
    case $1 in
        --seed) SEED=$2; shift 2 ;;
        --video) VIDEO=$2; shift 2 ;;
        --sentence) SENTENCE=$2; shift 2 ;;
        -h | --help) usage; exit 0 ;;
        *) echo "unknown argument $1" >&2; usage >&2; exit 2 ;;
    esac
done
case $SEED in
    '' | *[!0-9]*) echo "--seed takes a whole number, not '$SEED'" >&2
        exit 2 ;;
esac
if [ -n "$VIDEO" ]; then
    [ -f "$VIDEO" ] || { echo "no such video: $VIDEO" >&2; exit 2; }
    [ -n "$SENTENCE" ] || { echo "--video needs --sentence" >&2; exit 2; }
    VIDEO=$(cd "$(dirname "$VIDEO")" && pwd)/$(basename "$VIDEO")
fi

step() { printf '\n[quickstart %4ds] %s\n' "$SECONDS" "$*"; }

step "environment"
bash "$ROOT/tools/setup_env.sh"
cd "$ROOT"
PYTHON=${COSTA_VENV:-$ROOT/.venv}/bin/python
# glibc hands every large buffer back to the kernel and asks for it again,
# which costs more than the arithmetic on a CPU. This keeps them.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false MPLBACKEND=Agg
unset PYTHONPATH PYTHONHOME

CONFIG=configs/synthetic/costa_tiny_synthetic.py
DATA=data/synthetic_easy_seed$SEED
WORK=work_dirs/quickstart_seed$SEED
OPTIONS=(data_root="$DATA/"
    train_dataloader.dataset.data_root="$DATA/"
    val_dataloader.dataset.data_root="$DATA/"
    test_dataloader.dataset.data_root="$DATA/")

step "synthetic videos: $DATA"
"$PYTHON" tools/dataset_converters/make_synthetic_stvg.py --out "$DATA" \
    --num-train 4000 --num-val 200 --num-test 400 --level easy \
    --seed "$SEED" --workers 2

if [ ! -f "$WORK/trained" ]; then
    step "training: $CONFIG -> $WORK"
    "$PYTHON" tools/train.py "$CONFIG" --work-dir "$WORK" --resume \
        --cfg-options "${OPTIONS[@]}"
    touch "$WORK/trained"
fi
CHECKPOINT=$(ls "$WORK"/best_*.pth | head -n 1)

step "test: $CHECKPOINT"
"$PYTHON" tools/test.py "$CONFIG" "$CHECKPOINT" --work-dir "$WORK/test" \
    --out "$WORK/predictions.json" --metrics-out "$WORK/metrics.json" \
    --cfg-options "${OPTIONS[@]}"

step "the same with the sentences shuffled among the videos"
"$PYTHON" tools/dataset_converters/shuffle_sentences.py "$DATA/test.json" \
    "$DATA/test_shuffled.json"
"$PYTHON" tools/test.py "$CONFIG" "$CHECKPOINT" \
    --work-dir "$WORK/test_shuffled" \
    --metrics-out "$WORK/metrics_shuffled.json" \
    --cfg-options "${OPTIONS[@]}" \
    test_dataloader.dataset.ann_file=test_shuffled.json

step "demo"
for number in 0 1 2; do
    TEST_VIDEO=$DATA/videos/test/test_0000$number.mp4
    TEST_SENTENCE=$("$PYTHON" -c 'import json, os, sys
print(json.load(open(sys.argv[1]))[os.path.basename(sys.argv[2])]["caption"])' \
        "$DATA/test.json" "$TEST_VIDEO")
    "$PYTHON" demo/stvg_demo.py "$TEST_VIDEO" "$TEST_SENTENCE" \
        --model "$CONFIG" --weights "$CHECKPOINT" --out-dir "$WORK/demo"
done
if [ -n "$VIDEO" ]; then
    echo "(the model has only ever seen moving shapes; expect no more than" \
        "a demonstration)"
    "$PYTHON" demo/stvg_demo.py "$VIDEO" "$SENTENCE" --model "$CONFIG" \
        --weights "$CHECKPOINT" --out-dir "$WORK/demo_yours"
fi

step "results"
echo "videos and pictures: $WORK/demo${VIDEO:+, $WORK/demo_yours}," \
    "$DATA/contact_sheet_test.png; scalars: tensorboard --logdir $WORK"
"$PYTHON" tools/misc/quickstart_report.py "$CONFIG" "$CHECKPOINT" \
    --data-root "$DATA/" --metrics "$WORK/metrics.json" \
    --shuffled "$WORK/metrics_shuffled.json"
