# Copyright (c) costa_mm authors. All rights reserved.
import json
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

TOOL = Path(
    __file__).resolve().parents[2] / 'tools/analysis_tools/analyze_logs.py'
tool = runpy.run_path(str(TOOL))
read_log, curve = tool['read_log'], tool['curve']


def train(step, epoch=None, time=1.0):
    entry = dict(loss=10. / step, lr=0.1, time=time, step=step, iter=step)
    return entry if epoch is None else dict(entry, epoch=epoch)


def evaluation(step, score):
    return {'stvg/m_vIoU': score, 'time': 9., 'step': step}


def write(path, *entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(map(json.dumps, entries)) + '\n')
    return str(path)


@pytest.fixture
def log(tmp_path):
    """Two epochs of 20 iterations."""
    return write(
        tmp_path / 'run' / 'a' / 'vis_data' / 'scalars.json',
        train(10, 1, 5.), train(20, 1, 1.), evaluation(1, .1),
        train(30, 2, 4.), train(40, 2, 2.), evaluation(2, .3))


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the tool, returns what it said."""

    def call(*args):
        monkeypatch.setattr(sys, 'argv', ['tool', *map(str, args)])
        tool['main']()
        return capsys.readouterr().out

    return call


def test_evaluations_stand_where_they_were_made(log):
    found = read_log(log)
    assert curve(found, 'm_vIoU') == (([20, 40], [.1, .3]), True)
    assert curve(found, 'stvg/m_vIoU') == curve(found, 'm_vIoU')
    assert curve(found, 'loss') == (([10, 20, 30, 40], [1, .5, 10 / 30, .25]),
                                    False)
    # of the training, although evaluations have a time too
    assert curve(found, 'time')[0][1] == [5., 1., 4., 2.]
    with pytest.raises(KeyError, match="no 'bbox_mAP'.*stvg/m_vIoU, time"):
        curve(found, 'bbox_mAP')


def test_a_resumed_run_replaces_what_it_did_again(log, tmp_path):
    write(tmp_path / 'run' / 'b' / 'vis_data' / 'scalars.json',
          train(30, 2, 7.), train(40, 2, 7.), evaluation(2, .5))
    found = read_log(str(tmp_path / 'run'))
    assert curve(found, 'm_vIoU')[0] == ([20, 40], [.1, .5])
    assert curve(found, 'time')[0] == ([10, 20, 30, 40], [5., 1., 7., 7.])


def test_runs_that_count_iterations(tmp_path):
    path = write(tmp_path / 'scalars.json', train(20), train(40),
                 evaluation(40, .7))
    assert curve(read_log(path), 'm_vIoU')[0] == ([40], [.7])


def test_curves_are_drawn(run, log, tmp_path):
    sizes = []
    for keys in (['loss'], ['loss', 'm_vIoU']):
        out = tmp_path / 'new' / f'{len(keys)}.png'
        said = run('plot_curve', log, '--keys', *keys, '--out', out,
                   '--title', 'tiny')
        assert said == f'save curve to: {out}\n'
        sizes.append(Image.open(out).size)
    assert sizes[1][1] > sizes[0][1]  # evaluations have a panel of their own
    run('plot_curve', log, log, '--out', tmp_path / 'two.pdf', '--legend',
        'a', 'b', 'c', 'd')
    assert (tmp_path / 'two.pdf').read_bytes().startswith(b'%PDF')
    with pytest.raises(ValueError, match='1 names in --legend for 1 logs'):
        run('plot_curve', log, '--legend', 'a', '--out', tmp_path / 'x.png')


def test_train_time(run, log):
    said = run('cal_train_time', log)
    assert 'slowest epoch 2, average time is 2.0000 s/iter' in said
    assert 'fastest epoch 1, average time is 1.0000 s/iter' in said
    assert 'time std over epochs is 0.5000' in said
    assert 'average iter time: 1.5000 s/iter' in said
    assert 'average iter time: 3.0000' in run('cal_train_time', log,
                                              '--include-outliers')


def test_logs_that_cannot_be_read(run, tmp_path):
    with pytest.raises(FileNotFoundError, match='neither a log'):
        read_log(str(tmp_path / 'none'))
    path = tmp_path / 'a.json'
    path.write_text('{"mode": "train"}\n')
    with pytest.raises(ValueError, match='a.json, line 1 is no entry'):
        read_log(str(path))
    path.write_text('{"step": 1, \n')
    with pytest.raises(ValueError, match='a.json, line 1: '):
        read_log(str(path))
    path.write_text('')
    with pytest.raises(ValueError, match='holds no values yet'):
        read_log(str(path))
    write(path, dict(step=1, m_vIoU=0.5))
    with pytest.raises(ValueError, match='log more often'):
        run('cal_train_time', path)


def test_a_run_of_one_value_per_epoch_has_a_time(run, tmp_path):
    path = tmp_path / 'a.json'
    write(path, train(10, 1))
    assert 'average iter time: ' in run('cal_train_time', path)
