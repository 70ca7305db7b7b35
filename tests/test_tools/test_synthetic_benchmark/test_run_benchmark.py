# Copyright (c) costa_mm authors. All rights reserved.
"""tools/run_benchmark.py from data to tables, at a scale of seconds."""
import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.visualization import Visualizer
from synthetic_benchmark import BenchmarkProtocol, Executor
from tiny_model import grounder_cfg, head_cfg, text_cfg

from costa_mm.cli.running import run_main
from costa_mm.synthetic import Settings, write_benchmark
from costa_mm.visualization import TubeLocalVisualizer

ROOT = Path(__file__).resolve().parents[3]
SIZES = dict(train=4, val=2, test=3)
SETTINGS = Settings('easy', 0, 64, 24, 8)


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'synthetic'
    write_benchmark(folder, SETTINGS, SIZES)
    return folder


@pytest.fixture
def protocol(tmp_path):
    """Two methods, two iterations of two clips, four frames each."""
    base = Config.fromfile(
        str(ROOT / 'configs/synthetic/costa_tiny_synthetic.py'))
    methods = {}
    for name, entangled in (('whole', True), ('half', False)):
        base.model = grounder_cfg(
            text_encoder=text_cfg(frozen=True),
            head=head_cfg(entangled=entangled))
        base.dump(str(tmp_path / f'{name}.py'))
        methods[name] = dict(title=name.upper(), config=f'{name}.py')
    data = json.loads((ROOT / 'configs/benchmark/protocol.json').read_text())
    cpu = data['scales']['cpu']
    cpu.update(
        seeds=[0, 1],
        data=dict(SETTINGS.to_dict(), sizes=SIZES),
        clip=dict(num_frames=4, scale=[64, 64]))
    cpu['settings'].update(
        train_dataloader=dict(
            batch_size=2, num_workers=0, persistent_workers=False),
        val_dataloader=dict(num_workers=0),
        test_dataloader=dict(num_workers=0))
    cpu['settings']['train_cfg'].update(max_iters=2, val_interval=1)
    cpu['settings']['default_hooks']['checkpoint']['interval'] = 1
    data.update(
        methods=methods,
        reference='whole',
        tables={'Both': ['half', 'whole']},
        scales=dict(cpu=cpu))
    path = tmp_path / 'protocol.json'
    path.write_text(json.dumps(data))
    BenchmarkProtocol(path).freeze()
    return path


@pytest.fixture
def benchmark(monkeypatch, tmp_path, data_root, protocol):
    """Call the tool; its steps run in this process and are noted."""
    steps = []

    def run_tool(args):
        # a process of its own has no visualizer of an earlier run
        for kind in (Visualizer, TubeLocalVisualizer):
            kind._instance_dict.clear()
        with monkeypatch.context() as m:
            m.setattr(sys, 'argv', [str(a) for a in args])
            return run_main(runpy.run_path(str(args[0]))['main'])

    def call(self, command, log, device):
        steps.append((log.parent.parent.name, log.parent.name, log.stem))
        log.touch()
        return run_tool(command[1:]) or 0

    monkeypatch.setattr(Executor, '_call', call)
    monkeypatch.setenv('LOCAL_RANK', '0')  # the tools set it

    def run(*args):
        steps.clear()
        code = run_tool([
            ROOT / 'tools/run_benchmark.py', '--protocol', protocol,
            '--data-root', data_root, '--out', tmp_path / 'out', *args
        ])
        return code, list(steps)

    run.folder = tmp_path / 'out' / 'cpu'
    return run


def test_runs_report_and_goes_on(benchmark, protocol, capsys):
    code, steps = benchmark('--seeds', 0, '--methods', 'half')
    assert code == 0
    assert steps == [('half', 'seed0', s)
                     for s in ('train', 'test', 'shuffled')]
    text = (benchmark.folder / 'report/tables.md').read_text()
    assert '| WHOLE | 0 | not run |' in text
    assert '| WHOLE | 1 | not begun |' in text
    # all that have begun are finished, others are missing
    assert '## All runs after iteration 2 (validation split)' in text

    # what is done is not done again; what one step lacks is
    done = benchmark.folder / 'half/seed0/done.json'
    done.unlink()
    code, steps = benchmark('--seeds', 0)
    assert code == 0 and done.is_file()
    assert [s[0] for s in steps] == ['whole'] * 3
    # nothing to do: the report alone
    assert benchmark('--seeds', 0) == (0, [])

    results = json.loads(
        (benchmark.folder / 'report/results.json').read_text())
    half, whole = (results['methods'][m] for m in ('half', 'whole'))
    printed = json.loads(
        (benchmark.folder / 'half/seed0/metrics.json').read_text())
    assert half['scores']['m_vIoU']['mean'] == pytest.approx(
        printed['stvg/m_vIoU'], abs=1e-9)
    change = half['change']['m_sIoU']
    assert change['change'] == pytest.approx(
        half['scores']['m_sIoU']['mean'] - whole['scores']['m_sIoU']['mean'])
    assert change['low'] <= change['change'] <= change['high']
    assert whole['change'] is None and whole['parameters'] > 1000
    assert list(half['curve']) == ['1', '2']
    assert len(results['missing']) == 2
    report = benchmark.folder / 'report'
    for name in ('convergence', 'errors', 'consistency'):
        assert (report / f'{name}.png').stat().st_size > 5000
    assert 'half,scores,m_vIoU,' in (report / 'tables.csv').read_text()
    assert '2 missing' in capsys.readouterr().out

    # runs of other settings do not count
    data = json.loads(protocol.read_text())
    data['scales']['cpu']['settings']['train_cfg']['max_iters'] = 3
    protocol.write_text(json.dumps(data))
    BenchmarkProtocol(protocol).freeze(count_parameters=False)
    code, steps = benchmark('--seeds', 0, '--methods', 'whole')
    assert code == 1 and not steps
    text = (benchmark.folder / 'report/tables.md').read_text()
    assert '| WHOLE | 0 | of other settings than the frozen ones |' in text
    assert '0 finished runs' in text


def test_no_time_left(benchmark):
    code, steps = benchmark('--minutes', 0)
    assert (code, steps) == (0, [])
    text = (benchmark.folder / 'report/tables.md').read_text()
    assert '0 finished runs, 4 missing' in text
    assert 'WHOLE | 0 | not run' in text


def test_a_report_of_nothing(benchmark, capsys):
    code, steps = benchmark('--report-only')
    assert code == 2 and not steps
    assert f'no runs in {benchmark.folder}: give the --out' in \
        capsys.readouterr().err


def test_refuses_what_is_not_frozen(benchmark, protocol, data_root, tmp_path,
                                    capsys):
    def message(*args):
        code, steps = benchmark(*args)
        assert code == 2 and not steps
        return capsys.readouterr().err

    assert "no method 'hole'" in message('--methods', 'hole')
    assert "no scale 'moon'" in message('--scale', 'moon')
    assert 'seeds [0, 1]' in message('--seeds', 3)
    config = tmp_path / 'half.py'
    text = config.read_text()
    config.write_text(text.replace('beta=', 'beta_per_frame=True,beta=')
                      if 'beta=' in text else text.replace(
                          'entangled=False', 'entangled=False,beta=.5'))
    assert 'half at scale cpu' in message()
    config.write_text(text)
    other = tmp_path / 'other'
    shutil.copytree(data_root, other)
    meta = json.loads((other / 'meta.json').read_text())
    (other / 'meta.json').write_text(json.dumps(dict(meta, version='0.9')))
    assert "'version' is '0.9'" in message('--data-root', other)
