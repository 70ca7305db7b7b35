# Copyright (c) costa_mm authors. All rights reserved.
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / 'demo' / 'stvg_demo.py'


def run(*args):
    return subprocess.run([sys.executable, str(DEMO), *map(str, args)],
                          capture_output=True, text=True)


@pytest.mark.parametrize('args, message', [
    (['v.mp4', 'a', '--config', 'no.py', '--checkpoint', 'no.pth'],
     'FileNotFoundError: there is no config file no.py'),
    (['v.mp4', 'a', '--checkpoint', 'no.pth'],
     'FileNotFoundError: there is no checkpoint no.pth'),
    (['v.mp4', 'a'], 'ValueError: '),
])
def test_mistakes_end_in_one_clear_line(args, message):
    done = run(*args)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(message)
    assert 'Traceback' not in done.stderr
