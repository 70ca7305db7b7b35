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
    (['v.mp4', 'a', '--config', 'no.py', '--checkpoint', 'no.pth'],
     'FileNotFoundError: there is no config file no.py'),
    (['v.mp4', 'a', '--checkpoint', 'no.pth'],
     'FileNotFoundError: there is no checkpoint no.pth'),
    (['v.mp4', 'a'], 'ValueError: '),
    (['v.mp4', 'a', '--calibration', 'no.json'],
     'FileNotFoundError: there is no calibration no.json'),
])
def test_mistakes_end_in_one_clear_line(run, capsys, args, message):
    assert run(*args) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith(message)


def test_results_are_told_and_written(run, capsys, write_model, video,
                                      tmp_path):
    config, weights = write_model()
    code = run(video, 'the red square', 'a blue one', '--config', config,
               '--checkpoint', weights, '--out-dir', tmp_path / 'o',
               '--score-thr', '0.5', '--device', 'cpu', '--attention')
    out = capsys.readouterr().out
    assert code == 0
    assert 'frames 10 to 19 (1.00 s to 2.00 s), confidence 0.900' in out
    assert 'not in this video: best guess frames 0 to 29' in out
    assert (tmp_path / 'o' / 'squares.mp4').is_file()
    assert (tmp_path / 'o' / 'squares_1_attention.png').is_file()
    assert str(tmp_path / 'o' / 'tubes.json') in out
