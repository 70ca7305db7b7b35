# Copyright (c) costa_mm authors. All rights reserved.
"""Whatever is typed, it ends in work or in an error of ours.

``python tests/test_tools/test_command_lines.py 1000`` tries more of them.
"""
import contextlib
import importlib.util
import io
import os
import random
import sys
import tempfile
import traceback
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
OURS = tuple(str(ROOT / name) for name in ('costa_mm', 'tools', 'demo'))

CONFIG = """
default_scope = 'costa_mm'
model = dict(type='ToyModel', depth=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
train_dataloader = dict(num_workers=2, persistent_workers=True,
                        dataset=dict(type='ToyDataset'))
train_cfg = dict(by_epoch=True, max_epochs=1)
test_dataloader = dict(num_workers=2, dataset=dict(
    type='ToyDataset', pipeline=[dict(type='SampleFrames', num_frames=8),
                                 dict(type='LoadVideoFrames')]))
test_evaluator = [dict(type='costa_mm.STVGMetric')]
test_cfg = dict()
custom_hooks = [dict(type='SaveOnSignalHook')]
visualizer = dict(type='TubeLocalVisualizer', vis_backends=[dict(type='A')])
"""
KEYS = ('model', 'model.type', 'model.depth', 'train_dataloader',
        'train_dataloader.num_workers', 'test_dataloader.dataset',
        'custom_hooks', 'custom_hooks.0', 'custom_hooks.0.type',
        'custom_hooks.5.type', 'custom_hooks.x', 'optim_wrapper',
        'optim_wrapper.optimizer.lr', 'optim_wrapper.type', 'work_dir',
        'load_from', 'resume', 'visualizer', 'visualizer.vis_backends',
        'test_evaluator', 'test_evaluator.0', 'test_cfg', 'randomness.seed',
        'modle', '', '.', 'model.', '..a', 'default_hooks', 'env_cfg',
        'auto_scale_lr.enable', 'default_scope', 'test_dataloader')
VALUES = ('', ' ', '0', '-1', '1e-4', 'nan', '1e400', '9' * 30, 'true',
          'None', 'a', 'x' * 300, 'a\0b', os.fsdecode(b'caf\xe9'), '\ud83d',
          '[', ')(', '[1,2]', '(1,(2', 'dict(', "[dict(type='A')]",
          "dict(type='A')", '{}', "{'a': 1}", '{1: 2}', 'a=b', '/',
          '/dev/null', '/proc/none/x', '~', '.', '猫',
          '[' * 2000, '--', '-x', '$HOME')
# options of each tool, with their number of values
OPTIONS = {
    'tools/train.py': {
        '--work-dir': 1, '--resume': 1, '--amp': 0, '--auto-scale-lr': 0,
        '--seed': 1, '--launcher': 1, '--cfg-options': 3, '--local-rank': 1},
    'tools/test.py': {
        '--work-dir': 1, '--out': 1, '--format': 1, '--metrics-out': 1,
        '--format-only': 0, '--show-dir': 1, '--show': 0, '--wait-time': 1,
        '--amp': 0, '--cfg-options': 3, '--launcher': 1},
    'demo/stvg_demo.py': {
        '--model': 1, '--weights': 1, '--out-dir': 1, '--device': 1,
        '--pred-score-thr': 1, '--calibration': 1, '--attention': 0,
        '--batch-size': 1, '--on-error': 1, '--no-save-vis': 0, '--list': 1},
}


GOOD = {'--seed': ('0', '7'), '--launcher': ('none', ), '--local-rank': '01',
        '--format': ('tubes', ), '--wait-time': ('1', '0.5'),
        '--pred-score-thr': ('0', '0.5', '2', '-1'),
        '--batch-size': ('1', '0'), '--on-error': ('skip', 'stop'),
        '--device': ('cpu', 'cuda:99'), '--out-dir': ('out', 'a/b')}


class Reached(Exception):
    """All early checks have been passed."""


def load(name):
    spec = importlib.util.spec_from_file_location('tool', ROOT / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draw_line(name, rng, files):
    """Arguments, most of them good ones."""
    def value(kind=None):
        good = files.get(kind, list(files.values())[0])
        return good if rng.random() < 0.8 else rng.choice(
            VALUES + tuple(files.values()))

    def fit(option):
        if rng.random() < 0.5:
            return rng.choice(GOOD.get(option, VALUES))
        return rng.choice(VALUES)

    words = [value('config'), value('checkpoint')]
    if name == 'tools/train.py':
        words.pop()
    elif name.startswith('demo'):
        words = [value('video'), rng.choice(VALUES + ('the red ball', ))]
        if rng.random() < 0.9:
            words += ['--model', value('config'), '--weights',
                      value('checkpoint')]
    chosen = rng.sample(sorted(OPTIONS[name].items()), rng.randint(0, 3))
    if rng.random() < 0.4 and '--cfg-options' in OPTIONS[name]:
        chosen.append(('--cfg-options', 3))
    for option, count in chosen:
        words.append(option)
        if option == '--cfg-options':
            words += [f'{rng.choice(KEYS)}={rng.choice(VALUES)}'
                      if rng.random() < 0.95 else rng.choice(VALUES)
                      for _ in range(rng.randint(0, count))]
        elif count and rng.random() < 0.95:
            words.append(fit(option))
    return words


def outcome(module, words):
    """What the tool does with arguments before it begins to work."""
    try:
        with contextlib.redirect_stderr(io.StringIO()), \
                contextlib.redirect_stdout(io.StringIO()):
            args = module.parse_args(words)
            getattr(module, 'prepare', None) or module.run(args)
            if hasattr(module, 'prepare'):
                module.prepare(args)
    except SystemExit as e:
        return 'usage' if e.code in (0, 2) else f'exit {e.code}'
    except Reached:
        return 'good'
    except Exception as e:
        last = traceback.extract_tb(e.__traceback__)[-1]
        raised = last.line.startswith('raise') and isinstance(
            e, (OSError, KeyError, TypeError, ValueError))
        if not last.filename.startswith(OURS) or not str(e).strip() or not (
                raised or isinstance(e, OSError)):
            return f'FOREIGN {type(e).__name__}: {e} ({last.filename}:' \
                   f'{last.lineno})'
        return 'refused'
    return 'good'


def tries(folder, count, seed=0):
    """Outcomes of ``count`` command lines of every tool."""
    from costa_mm.apis import STVGInferencer
    from costa_mm.apis.jobs import GroundingJob
    from costa_mm.datasets import VideoInfo
    files = {k: os.path.join(folder, v) for k, v in (
        ('config', 'c.py'), ('checkpoint', 'c.pth'), ('video', 'v.mp4'))}
    Path(files['config']).write_text(CONFIG)
    torch.save(dict(state_dict={}), files['checkpoint'])
    Path(files['video']).write_bytes(b'no video')
    found = []
    rng = random.Random(seed)
    with pytest.MonkeyPatch.context() as m:
        m.chdir(folder)
        # what costs time, and comes after the early checks
        m.setattr(STVGInferencer, '_build_model',
                  lambda self, path: torch.nn.Identity())
        m.setattr('costa_mm.apis.sources._probe',
                  lambda reader, path: VideoInfo(30, 10., 64, 48))
        m.setattr(GroundingJob, 'run', reach)
        m.setenv('LOCAL_RANK', '0')
        for name in OPTIONS:
            module = load(name)
            for _ in range(count):
                words = draw_line(name, rng, files)
                found.append((name, words, outcome(module, words)))
    return found


def reach(*args):
    raise Reached


def test_no_error_but_ours(tmp_path):
    found = tries(tmp_path, 40)
    assert [x for x in found if x[-1].startswith(('FOREIGN', 'exit'))] == []
    # the lines are neither all good nor all bad
    kinds = [x[-1] for x in found]
    assert {kinds.count(k) > 10 for k in ('good', 'refused', 'usage')} == {
        True}


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as scratch:
        lines = tries(scratch, int(sys.argv[1]), seed=int(sys.argv[2]))
    for line in lines:
        if line[-1].startswith(('FOREIGN', 'exit')):
            print(line)
    kinds = [line[-1].split()[0] for line in lines]
    print({k: kinds.count(k) for k in sorted(set(kinds))})
