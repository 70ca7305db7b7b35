# Copyright (c) costa_mm authors. All rights reserved.
"""Means, intervals, curves and the processes of a run."""
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic_benchmark import (BenchmarkProtocol, Executor, Run, RunFailed,
                                 SeedResult, Stopper, execute_runs, make_runs,
                                 mean_and_deviation, read_curve)
from synthetic_benchmark.results import (PER_SAMPLE, changes, factor_scores,
                                         seed_changes, under_way)
from synthetic_benchmark.runs import lock

from costa_mm.evaluation import SampleRecord, Scores

PROTOCOL = BenchmarkProtocol(
    Path(__file__).resolve().parents[3] / 'configs' / 'benchmark' /
    'protocol.json')


def result(seed, vious, jumps=None):
    """A run with these vIoUs; even samples have look-alikes."""
    jumps = jumps or [0.] * len(vious)
    records = [
        SampleRecord(
            str(i), {'paper': Scores(.5, v, .5)},
            diagnostics=dict(jump_rate=j),
            factors=dict(distractor='time' if i % 2 else 'look'))
        for i, (v, j) in enumerate(zip(vious, jumps))
    ]
    return SeedResult(seed, records, {}, {}, {}, {})


def test_mean_and_deviation():
    assert mean_and_deviation([.25]) == dict(
        mean=.25, deviation=None, runs=1)
    out = mean_and_deviation([1., 2., 3.])
    assert out == dict(mean=2., deviation=1., runs=3)


def test_changes_are_paired_and_of_common_seeds():
    rng = np.random.default_rng(0)
    easy = rng.random(50)
    reference = [result(0, easy), result(1, easy)]
    # noise of the samples is large, the change is the same for all
    other = [result(1, easy + .1), result(2, easy - 5.)]
    found = changes(PROTOCOL, reference, other)['m_vIoU']
    assert found['seeds'] == [1]
    for key in ('change', 'low', 'high'):
        assert found[key] == pytest.approx(.1)
    none = changes(PROTOCOL, reference, [result(7, easy)])
    assert none['m_vIoU'] is None


def test_change_of_the_recall_and_of_undefined_jumps():
    nan = float('nan')
    found = changes(PROTOCOL, [result(0, [.4, .6, .4, .4], [0, 0, nan, .5])],
                    [result(0, [.6, .6, .4, .5], [.5, nan, 1., .5])])
    assert found['vIoU@0.5']['change'] == pytest.approx(.25)  # 0.5 is not over
    assert found['jump_rate']['change'] == pytest.approx(.25)


def test_interval_over_seeds_by_hand():
    def runs(values):
        return [
            SeedResult(i, [], dict.fromkeys(PER_SAMPLE, v), {}, {}, {})
            for i, v in enumerate(values)
        ]

    # equal variances s^2 = 0.01 and numbers: Welch's t has 4 degrees of
    # freedom (quantile 2.776), the error of the change is s sqrt(2 / 3)
    found = seed_changes(runs([.3, .4, .5]), runs([.6, .7, .8]))['m_vIoU']
    assert found['change'] == pytest.approx(.3)
    half = 2.7764451 * .1 * (2 / 3)**.5
    assert found['low'] == pytest.approx(.3 - half)
    assert found['high'] == pytest.approx(.3 + half)
    assert seed_changes(runs([.3, .4]), runs([.6]))['m_vIoU'] is None
    lacking = runs([.6, .7])
    del lacking[0].metrics['jump_rate']
    found = seed_changes(runs([.3, .4]), lacking)
    assert found['jump_rate'] is None and found['m_vIoU'] is not None


def test_factors_are_means_over_samples_then_seeds():
    out = factor_scores(
        PROTOCOL, [result(0, [.2, .4, .4]), result(1, [.4, .2, .6])])
    look = out['distractor']['look']
    assert look['samples'] == 2
    assert look['m_vIoU']['mean'] == pytest.approx(.4)
    assert look['m_vIoU']['deviation'] == pytest.approx(.1 * 2**.5)
    assert out['distractor']['time']['m_vIoU']['mean'] == pytest.approx(.3)


def write_scalars(folder, values):
    """What a training logs; m_vIoU by iteration."""
    folder = folder / 'vis_data'
    folder.mkdir(parents=True)
    lines = [json.dumps(dict(loss=1., step=1))] + [
        json.dumps({
            'stvg/m_vIoU': value,
            'stvg/m_sIoU': value,
            'stvg/m_tIoU': value,
            'step': step
        }) for step, value in values.items()
    ]
    (folder / 'scalars.json').write_text('\n'.join(lines))


def test_curve_of_all_pieces(tmp_path):
    for piece, steps in (('1', (2, 4)), ('2', (4, 6))):
        write_scalars(tmp_path / piece,
                      {s: s / 10 + int(piece) for s in steps})
    curve = read_curve(tmp_path)
    assert list(curve) == [2, 4, 6]
    assert [c['m_vIoU'] for c in curve.values()] == pytest.approx(
        [1.2, 2.4, 2.6])


@pytest.mark.parametrize('cut', [1, 12, 30, 60])
def test_a_last_line_that_a_killed_run_left_is_passed_over(cut, tmp_path):
    for piece in ('1', '2'):
        write_scalars(tmp_path / piece, {int(piece): .5, 9: .6})
        path = tmp_path / piece / 'vis_data' / 'scalars.json'
        path.write_text(path.read_text()[:-cut])
    assert list(read_curve(tmp_path)) == [1, 2]
    path.write_bytes(path.read_bytes() + 'é'.encode()[:1])
    assert list(read_curve(tmp_path)) == [1, 2]
    path.write_bytes(path.read_bytes() + b'\n{"step": 10}\n')
    with pytest.raises(ValueError, match='scalars.json, line 3'):
        read_curve(tmp_path)


def test_runs_under_way_are_compared_where_the_last_one_is(tmp_path):
    scale = PROTOCOL.scale('cpu')
    runs = make_runs(tmp_path, scale, ['costa', 'stcat'], (0, 1, 2))
    assert under_way(PROTOCOL, scale, runs) is None  # none has begun
    for run, last, value in zip(runs, (6, 4, 6, 6, 6), (.3, .6, .4, .7, .5)):
        write_scalars(run.folder / 'train' / '1',
                      {s: value + s / 100 for s in range(2, last + 1, 2)})
    found = under_way(PROTOCOL, scale, runs)
    assert found['step'] == 4
    costa, stcat = (found['methods'][m] for m in ('costa', 'stcat'))
    assert costa['scores']['m_vIoU']['mean'] == pytest.approx(.4 + .04)
    assert stcat['scores']['m_vIoU'] == dict(
        mean=pytest.approx(.65 + .04), runs=2,
        deviation=pytest.approx(.05 * 2**.5))
    assert costa['seed_change'] is None
    change = stcat['seed_change']['m_vIoU']
    assert change['change'] == pytest.approx(.25)
    assert change['low'] < .25 < change['high']


@pytest.fixture
def executor(tmp_path):
    """Executes scripts instead of the tools."""
    scale = PROTOCOL.scale('cpu')
    return Executor(tmp_path, PROTOCOL, scale, tmp_path, tmp_path / 's.json',
                    1, Stopper())


def step(executor, tmp_path, code, name='train'):
    (tmp_path / 'script.py').write_text(code)
    run = Run('costa', 0, tmp_path)
    return executor._step(run, name, ['script.py'], '3')


def test_steps_are_repeated_until_they_end(executor, tmp_path):
    assert not step(executor, tmp_path, 'raise SystemExit(75)')
    assert step(
        executor, tmp_path, 'import os\n'
        'assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"\n'
        'assert os.environ["OMP_NUM_THREADS"] == "1"')
    assert step(executor, tmp_path, 'raise SystemExit(1)')  # not run again
    entry = json.loads((tmp_path / 'steps.json').read_text())['train']
    assert entry['pieces'] == 2 and entry['ended'] and entry['seconds'] > 0
    with pytest.raises(RunFailed, match='(?s)code 1.*ValueError: bad luck'):
        step(executor, tmp_path, 'raise ValueError("bad luck")', 'test')


def test_a_stop_is_passed_on(executor, tmp_path):
    executor.stopper = Stopper(.5)
    code = ('import signal, sys, time\n'
            'signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n'
            'time.sleep(60)')
    assert not step(executor, tmp_path, code)
    assert executor.stopper
    # and nothing begins after it
    (tmp_path / 'script.py').write_text('open("touched", "w")')
    assert not step(executor, tmp_path, 'raise ValueError', 'test')


def test_a_run_belongs_to_one_process(tmp_path):
    with lock(tmp_path / 'lock') as first, lock(tmp_path / 'lock') as second:
        assert first and not second
    with lock(tmp_path / 'lock') as again:
        assert again


def test_runs_side_by_side(tmp_path):
    seen = []

    def execute(run, device):
        seen.append((run.method, run.seed, device))
        if run.method == 'b':
            raise RunFailed('no luck')
        return True

    executor = SimpleNamespace(execute=execute, stopper=Stopper())
    scale = SimpleNamespace(name='cpu')
    runs = make_runs(tmp_path, scale, ['a', 'b'], [0, 1])
    assert [(r.method, r.seed) for r in runs] == [('a', 0), ('b', 0),
                                                  ('a', 1), ('b', 1)]
    lines = []
    failures = execute_runs(executor, runs, ['0', '1'], lines.append)
    assert failures == {('b', 0): 'no luck', ('b', 1): 'no luck'}
    assert len(seen) == 4 and {d for *_, d in seen} <= {'0', '1'}
    assert any('failed' in line for line in lines)
