# Copyright (c) costa_mm authors. All rights reserved.
"""Every code block of README, docs and notebooks is executed or checked."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent / 'docs'
sys.path.insert(0, str(HERE))
try:
    from blocks import all_blocks, commands, without_ellipsis
finally:
    sys.path.remove(str(HERE))


@pytest.fixture(scope='module')
def report(tmp_path_factory) -> dict:
    """What became of every block, all run by one process."""
    folder = tmp_path_factory.mktemp('docs')
    (folder / 'stage').mkdir()
    env = dict(os.environ, MPLBACKEND='Agg', HF_HUB_OFFLINE='1',
               TOKENIZERS_PARALLELISM='false')
    done = subprocess.run(
        [sys.executable, str(HERE / 'runner.py'), str(folder / 'stage'),
         str(folder / 'report.json')],
        env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads((folder / 'report.json').read_text())


@pytest.mark.parametrize('block', all_blocks(), ids=lambda b: b.name)
def test_block(report, block):
    assert not report[block.name], f'\n{block.code}\n{report[block.name]}'


def test_wrong_examples_are_found(report):
    wrong = {k: v for k, v in report.items() if k.startswith('wrong:')}
    assert len(wrong) == 12
    assert all(wrong.values()), [k for k, v in wrong.items() if not v]


def test_half_of_the_blocks_are_executed():
    blocks = all_blocks()
    assert len([b for b in blocks if not b.not_run]) >= len(blocks) / 2


def test_commands_are_taken_apart():
    code = ('A=1 python x.py CONFIG \\\n    --y "two words"  # why\n'
            'for s in a b; do\n  python z.py ${s}\ndone\n')
    assert commands(code) == [
        (dict(A='1'), ['python', 'x.py',
                       'configs/synthetic/costa_tiny_synthetic.py', '--y',
                       'two words']),
        ({}, ['python', 'z.py', '${s}'])]


def test_dots_that_leave_something_out():
    assert without_ellipsis('dict(a=1, b=dict(c=2, ...), ...)') == \
        'dict(a=1, b=dict(c=2))'
