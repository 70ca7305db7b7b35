# Copyright (c) costa_mm authors. All rights reserved.
"""tools/train.py, tools/test.py and their distributed shells."""
import json
import os
import os.path as osp
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
TOY = str(ROOT / 'tests' / 'test_engine')
if TOY not in sys.path:
    sys.path.insert(0, TOY)

from engine_toy import toy_config  # noqa: E402


@pytest.fixture
def config(tmp_path):
    """A config file of the toy training: one epoch of 6 iterations."""
    cfg = toy_config(tmp_path / 'run', **{'train_cfg.max_epochs': 1})
    cfg.custom_imports = dict(imports=['engine_toy'])
    cfg.auto_scale_lr = dict(enable=False, base_batch_size=4)
    cfg.train_cfg.val_interval = 1
    for key in ('work_dir', 'experiment_name'):
        cfg.pop(key)
    path = tmp_path / 'toy.py'
    cfg.dump(str(path))
    return str(path)


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """Run a tool in this process, as from the command line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')  # the tools set it

    def run(name, *args):
        argv = [name] + [str(a) for a in args]
        with monkeypatch.context() as m:
            m.setattr(sys, 'argv', argv)
            runpy.run_path(str(ROOT / 'tools' / name))['main']()

    return run


def meta(path):
    return torch.load(path, weights_only=True)['meta']


def test_train_then_test(tool, config, tmp_path):
    tool('train.py', config)
    work_dir = tmp_path / 'work_dirs' / 'toy'
    best = next(work_dir.glob('best_*.pth'))
    info = torch.load(best, weights_only=True)['message_hub']['log_scalars']
    out = tmp_path / 'out' / 'metrics.json'
    tool('test.py', config, best, '--work-dir', tmp_path / 'test',
         '--metrics-out', out)
    metrics = json.loads(out.read_text())
    last = torch.load(work_dir / 'iter_6.pth', weights_only=True)
    assert metrics['toy/count'] == 5
    assert metrics['toy/score'] == pytest.approx(
        last['message_hub']['runtime_info']['best_score'], abs=1e-6)
    assert info is not None
    # and in mixed precision: near, not equal
    tool('test.py', config, best, '--work-dir', tmp_path / 'test',
         '--metrics-out', out, '--amp')
    half = json.loads(out.read_text())
    assert half['toy/score'] != metrics['toy/score']
    assert half['toy/score'] == pytest.approx(metrics['toy/score'], rel=0.05)


def test_options_of_train(tool, config, tmp_path):
    where = tmp_path / 'elsewhere'
    tool('train.py', config, '--work-dir', where, '--amp', '--auto-scale-lr',
         '--seed', 7, '--cfg-options', 'train_dataloader.batch_size=4')
    cfg = meta(where / 'iter_3.pth')
    assert cfg['seed'] == 7
    assert 'STVGAmpOptimWrapper' in cfg['cfg']
    assert 'batch_size=4' in cfg['cfg']


def test_resume(tool, config, tmp_path):
    where = tmp_path / 'run'
    # nothing there yet: starts afresh
    tool('train.py', config, '--work-dir', where, '--resume')
    assert meta(where / 'iter_6.pth')['iter'] == 6
    tool('train.py', config, '--work-dir', where, '--resume',
         '--cfg-options', 'train_cfg.max_epochs=2')
    assert meta(where / 'iter_12.pth')['iter'] == 12
    # from a named checkpoint, into another folder
    tool('train.py', config, '--work-dir', tmp_path / 'new', '--resume',
         where / 'iter_12.pth', '--cfg-options', 'train_cfg.max_epochs=3')
    assert meta(tmp_path / 'new' / 'iter_18.pth')['iter'] == 18
    # nothing to resume: the config's pretrained weights are kept
    tool('train.py', config, '--work-dir', tmp_path / 'first', '--resume',
         '--cfg-options', f'load_from={where / "iter_12.pth"}')
    first = meta(tmp_path / 'first' / 'iter_6.pth')
    assert f"load_from = '{where / 'iter_12.pth'}'" in first['cfg']


def test_errors_name_their_mend(tool, config, tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere.py'):
        tool('train.py', 'nowhere.py')
    with pytest.raises(KeyError, match='mean .train_dataloader'):
        tool('train.py', config, '--cfg-options',
             'train_dataloder.batch_size=1')
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        tool('test.py', config, 'absent.pth')
    other = tmp_path / 'other.pth'
    torch.save(dict(state_dict=torch.nn.Linear(2, 2).state_dict()), other)
    with pytest.raises(ValueError, match='other.pth.*another model.*ToyMod'):
        tool('test.py', config, other)
    with pytest.raises(KeyError, match='STVGMetric'):
        tool('test.py', config, other, '--out', 'tubes.json')
    with pytest.raises(KeyError, match='STVGMetric'):
        tool('test.py', config, other, '--format-only')
    text = Path(config).read_text()
    wrong = tmp_path / 'wrong.py'
    wrong.write_text(text.replace('custom_hooks', 'custom_hook'))
    with pytest.raises(KeyError, match='wrong.py.*mean .custom_hooks'):
        tool('train.py', wrong)


def test_print_config(tool, config, tmp_path, capsys):
    out = tmp_path / 'whole.py'
    tool('misc/print_config.py', config, '--cfg-options', 'model.norm=False',
         '--save-path', out)
    printed = capsys.readouterr().out
    assert 'norm=False' in printed and 'EpochSampler' in printed
    assert 'norm=False' in out.read_text()


def shells(name, *args, nodes=1):
    """Run a distributed shell on one node, or at once on several.

    Returns what each of them said.
    """
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    env = dict(
        os.environ, PORT=str(port), PYTHON=sys.executable, PYTHONPATH=TOY)
    env.pop('LOCAL_RANK', None)
    started = [
        subprocess.Popen(
            ['bash', str(ROOT / 'tools' / name)] + [str(a) for a in args],
            env=dict(env, NNODES=str(nodes), NODE_RANK=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True) for rank in range(nodes)
    ]
    said = []
    for process in started:
        said.append(process.communicate(timeout=900)[0])
        assert process.returncode == 0, said[-1]
    return said


def test_two_processes(config, tool, tmp_path):
    """Training on two nodes, testing on one."""
    work_dir = tmp_path / 'two'
    first, second = shells(
        'dist_train.sh', config, 1, '--work-dir', work_dir,
        '--cfg-options', 'train_dataloader.batch_size=1', 'log_level=INFO',
        'default_hooks.logger.interval=1', nodes=2)
    assert 'FileClient' not in first and 'Warning' not in second
    lines = [line for said in (first, second) for line in said.splitlines()]
    assert next(i for i, s in enumerate(lines) if '(train)' in s) <= 60
    path = work_dir / 'iter_6.pth'  # 12 samples, 2 at a time
    assert osp.isfile(path)
    outs = [tmp_path / 'one.json', tmp_path / 'two.json']
    shells('dist_test.sh', config, path, 2, '--work-dir', work_dir,
           '--metrics-out', outs[1])
    tool('test.py', config, path, '--work-dir', work_dir, '--metrics-out',
         outs[0])
    one, two = (json.loads(o.read_text()) for o in outs)
    assert one['toy/count'] == two['toy/count'] == 5
    assert one['toy/score'] == pytest.approx(two['toy/score'], abs=1e-6)


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh'])
def test_a_port_in_use(name, config):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen()
        port = s.getsockname()[1]
        args = [config, '1'] if 'train' in name else [config, 'a.pth', '1']
        done = subprocess.run(
            ['bash', str(ROOT / 'tools' / name), *args],
            env=dict(os.environ, PORT=str(port)),
            capture_output=True,
            text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f'PORT {port} is in use')


def test_what_cannot_be_written_is_told_first(tool, config, tmp_path):
    checkpoint = tmp_path / 'a.pth'
    checkpoint.touch()  # nothing of it is read
    (tmp_path / 'file').touch()
    for option, value, error in (
            ('--out', tmp_path, IsADirectoryError),
            ('--out', tmp_path / 'file' / 'x.json', NotADirectoryError),
            ('--metrics-out', tmp_path, IsADirectoryError),
            ('--metrics-out', 'a\ud83d.json', ValueError),
            ('--show-dir', tmp_path / 'file', NotADirectoryError),
            ('--work-dir', tmp_path / 'file', NotADirectoryError)):
        with pytest.raises(error, match=f'{option}|the work folder|name of'):
            tool('test.py', config, checkpoint, option, value)
    with pytest.raises(IsADirectoryError, match='is a folder, not a checkp'):
        tool('test.py', config, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'a.pth', 'file', 'toy.py']


def test_shells_say_how_they_are_used():
    for name in ('dist_train', 'dist_test', 'slurm_train', 'slurm_test'):
        done = subprocess.run(
            ['bash', str(ROOT / 'tools' / f'{name}.sh')],
            capture_output=True,
            text=True)
        assert done.returncode == 2 and 'usage' in done.stderr


def slurm(folder, tool, script, **settings):
    """Run a Slurm shell with a program of our own in the place of srun."""
    fake = folder / 'srun'
    fake.write_text(f'#!/usr/bin/env bash\n{script}')
    fake.chmod(0o755)
    env = dict(
        os.environ, PATH=f'{folder}:{os.environ["PATH"]}',
        PYTHON=sys.executable, **settings)
    env.pop('LOCAL_RANK', None)
    return lambda *args: subprocess.run(
        ['bash', str(ROOT / 'tools' / f'slurm_{tool}.sh'), 'part', 'job',
         *map(str, args)],
        env=env, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize('tool, tail', [
    ('train', ['c.py', '--work-dir', 'out', '--launcher', 'slurm', '--amp']),
    ('test', ['c.py', 'out', '--launcher', 'slurm', '--amp']),
])
@pytest.mark.parametrize('settings, total, per_node, more', [
    (dict(), 8, 8, []),
    (dict(GPUS='4', CPUS_PER_TASK='3'), 4, 4, []),
    (dict(GPUS='16', SRUN_ARGS='--signal=TERM@120 -x n7'), 16, 8,
     ['--signal=TERM@120', '-x', 'n7']),
    (dict(GPUS='16', GPUS_PER_NODE='4'), 16, 4, []),
])
def test_slurm_command_line(tool, tail, settings, total, per_node, more,
                            tmp_path):
    run = slurm(tmp_path, tool, 'printf "%s\\n" "$MASTER_PORT" "$@"',
                PORT='29876', **settings)
    done = run('c.py', 'out', '--amp')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        '29876', '-p', 'part', '--job-name=job', f'--gres=gpu:{per_node}',
        f'--ntasks={total}', f'--ntasks-per-node={per_node}',
        f'--cpus-per-task={settings.get("CPUS_PER_TASK", 5)}',
        '--kill-on-bad-exit=1', *more, sys.executable, '-u',
        str(ROOT / 'tools' / f'{tool}.py'), *tail
    ]


TWO_TASKS = """
while [ "$1" != "$PYTHON" ]; do shift; done
for rank in 0 1; do
    SLURM_PROCID=$rank SLURM_LOCALID=$rank SLURM_NTASKS=2 "$@" &
done
wait -n && wait -n
"""


def test_slurm_tasks_train_together(config, tmp_path):
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = str(s.getsockname()[1])
    run = slurm(tmp_path, 'train', TWO_TASKS, PORT=port, PYTHONPATH=TOY,
                SLURM_NODELIST='127.0.0.1', OMP_NUM_THREADS='1')
    done = run(config, tmp_path / 'out', '--cfg-options',
               'train_dataloader.batch_size=1')
    assert done.returncode == 0, done.stderr
    state = torch.load(tmp_path / 'out' / 'iter_6.pth', weights_only=True)
    assert len(state['run_state']['ranks']) == 2  # 12 samples, 2 at a time
