# Copyright (c) costa_mm authors. All rights reserved.
import importlib.util
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / 'demo' / 'stvg_demo.py'


@pytest.fixture
def run(monkeypatch):
    """Runs the demo in this process, returns its exit code."""

    def call(*args):
        monkeypatch.setattr(sys, 'argv', ['stvg_demo.py', *map(str, args)])
        spec = importlib.util.spec_from_file_location('stvg_demo', DEMO)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.main()

    return call


@pytest.mark.parametrize('args, message', [
    (['a', '--model', 'no.py', '--weights', 'no.pth'],
     'FileNotFoundError: there is no config file no.py'),
    (['a', '--weights', 'no.pth'],
     'FileNotFoundError: there is no checkpoint no.pth'),
    (['a', '--calibration', 'no.json'],
     'FileNotFoundError: there is no calibration no.json'),
    (['a', '--batch-size', '0'], 'ValueError: --batch-size must be at least'),
    (['a', '--pred-score-thr', '2'], 'ValueError: --pred-score-thr must be'),
    ([' '], 'ValueError: sentence 0 is empty'),
])
def test_mistakes_end_in_one_clear_line(run, capsys, video, args, message):
    assert run(video, *args) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith(message)


def test_results_are_told_and_written(run, capsys, write_model, video,
                                      tmp_path):
    config, weights = write_model()
    code = run(video, 'the red square', 'a blue one', '--config', config,
               '--checkpoint', weights, '--out-dir', tmp_path / 'o',
               '--score-thr', '0.5', '--device', 'cpu', '--attention')
    out, err = capsys.readouterr()
    assert code == 0
    # the old names of options still work
    assert err.splitlines() == [
        '--config is called --model now',
        '--checkpoint is called --weights now',
        '--score-thr is called --pred-score-thr now'
    ]
    assert 'frames 10 to 19 (1.00 s to 2.00 s), confidence 0.900' in out
    assert 'not in this video: best guess frames 0 to 29' in out
    assert (tmp_path / 'o' / 'squares.mp4').is_file()
    assert (tmp_path / 'o' / 'squares_1_attention.png').is_file()
    assert '1 of 1 videos are done, 1 of them now' in out
    assert (tmp_path / 'o' / 'tubes.json').is_file()
