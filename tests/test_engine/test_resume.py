# Copyright (c) costa_mm authors. All rights reserved.
"""An interrupted run gives the weights of the uninterrupted one."""
import os
import os.path as osp
import random
import signal
import time

import pytest
import torch
from engine_toy import KillAtCall, differences, final_state, train

from costa_mm.utils.files import is_leftover

SIGKILLED = -signal.SIGKILL
ITER_LOOP = {
    'train_cfg': dict(
        _delete_=True, by_epoch=False, max_iters=48, val_interval=8),
    'optim_wrapper.accumulative_counts': 3,
}
AMP = {'optim_wrapper.type': 'STVGAmpOptimWrapper'}
VARIANTS = {
    'epochs': {},
    'iterations_accumulated': ITER_LOOP,
    'amp': AMP,
}


@pytest.fixture(scope='module')
def whole_run(finish, tmp_path_factory):
    """Final states of runs that nothing interrupted, one per variant."""
    states, folders = {}, {}

    def get(variant):
        if variant not in states:
            folder = tmp_path_factory.mktemp(variant)
            assert finish(train, folder, **VARIANTS[variant]) == 0
            states[variant] = final_state(folder)
            folders[variant] = folder
        return states[variant]

    get.folders = folders
    return get


def test_two_whole_runs_are_equal(whole_run, finish, tmp_path):
    # without this the other tests would mean nothing
    assert finish(train, tmp_path) == 0
    assert differences(whole_run('epochs'), final_state(tmp_path)) == []
    # and the comparison can fail
    assert finish(train, tmp_path / 'other', **{'randomness.seed': 4}) == 0
    assert differences(
        whole_run('epochs'), final_state(tmp_path / 'other'))


def kill_at_random(launch, folder, rng, **changes) -> bool:
    """Go on until something is saved, kill a random moment later."""
    mark = folder / 'last_checkpoint'
    before = mark.stat().st_mtime_ns if mark.exists() else 0
    process = launch(
        train, folder, True, **{'train_dataloader.dataset.sleep': 0.02},
        **changes)
    while process.is_alive():
        if mark.exists() and mark.stat().st_mtime_ns != before:
            break
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.15))
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode in (0, SIGKILLED)
    return process.exitcode == SIGKILLED


@pytest.mark.parametrize('variant', list(VARIANTS))
def test_sigkill_at_random_points(variant, whole_run, launch, finish,
                                  tmp_path):
    seed = time.time_ns() % 2**32
    print(f'seed of the kills: {seed}')
    rng = random.Random(seed)
    wanted = 10 if variant == 'epochs' else 4
    kills = sum(
        kill_at_random(launch, tmp_path, rng, **VARIANTS[variant])
        for _ in range(wanted))
    assert kills == wanted
    assert finish(train, tmp_path, True, **VARIANTS[variant]) == 0
    assert differences(whole_run(variant), final_state(tmp_path)) == []


# what the own process does at the moment of its death; 2 fsyncs per file,
# 2 files per checkpoint; the first that is replaced is the environment's
MOMENTS = [
    KillAtCall('fsync', 1),  # the checkpoint is written, not on the disk
    KillAtCall('replace', 4),  # on the disk, under its temporary name
    KillAtCall('replace', 4, after=True),  # renamed
    KillAtCall('replace', 5),  # before last_checkpoint names it
    KillAtCall('replace', 7, after=True),  # it does, nothing is removed yet
    KillAtCall('remove', 1),  # removing the oldest
    KillAtCall('remove', 2, after=True),
]


@pytest.mark.parametrize('variant, moments', [('epochs', MOMENTS),
                                              ('amp', MOMENTS[1::3])])
def test_sigkill_while_saving(variant, moments, whole_run, finish, tmp_path):
    changes = VARIANTS[variant]
    for kill in moments:
        code = finish(train, tmp_path, True, kill, **changes)
        assert code == SIGKILLED, vars(kill)
        name = tmp_path / 'last_checkpoint'
        if name.exists():
            torch.load(name.read_text(), weights_only=True)
    assert finish(train, tmp_path, True, **changes) == 0
    assert differences(whole_run(variant), final_state(tmp_path)) == []
    files = sorted(p.name for p in tmp_path.glob('*') if p.is_file())
    assert [f for f in files if f.startswith('iter')
            ] == ['iter_46.pth', 'iter_48.pth']
    assert not [f for f in files if is_leftover(f)]


def stop_validation_once(work_dir):
    """Die in the first validation, after the checkpoint of its epoch."""
    import engine_toy

    def die(self, data_batch, data_samples):
        os.kill(os.getpid(), signal.SIGKILL)

    engine_toy.ToyMetric.process = die
    train(work_dir)


def test_killed_validation_is_made_up_for(whole_run, finish, tmp_path):
    assert finish(stop_validation_once, tmp_path) == SIGKILLED
    assert not list(tmp_path.glob('best*'))
    assert finish(train, tmp_path, True) == 0
    assert differences(whole_run('epochs'), final_state(tmp_path)) == []
    assert list(tmp_path.glob('best_toy_score_iter_*.pth'))


def count_loads(work_dir):
    """Go on, noting which samples are loaded."""
    import engine_toy
    original = engine_toy.ToyDataset.__getitem__

    def noted(self, idx):
        with open(osp.join(work_dir, 'loads'), 'a') as f:
            f.write(f'{getattr(idx, "epoch", -1)} {int(idx)}\n')
        return original(self, idx)

    engine_toy.ToyDataset.__getitem__ = noted
    train(work_dir, True, val_cfg=None, val_dataloader=None,
          val_evaluator=None,
          **{'default_hooks.checkpoint.save_best': None})


def test_skipped_batches_are_not_loaded(finish, tmp_path):
    # killed while it saves after iteration 4 of 6; the first file that is
    # replaced is the environment's
    assert finish(train, tmp_path, True, KillAtCall('replace', 5,
                                                    True)) == SIGKILLED
    assert finish(count_loads, tmp_path) == 0
    loads = (tmp_path / 'loads').read_text().split('\n')[:-1]
    # 4 samples are left of epoch 0, 12 in each of the others
    assert sum(line.startswith('0 ') for line in loads) == 4
    assert len(loads) == 4 + 7 * 12


def test_resume_of_a_finished_run_changes_nothing(whole_run, finish):
    before = whole_run('epochs')
    folder = whole_run.folders['epochs']  # it changes nothing, or this fails
    assert finish(train, folder, True) == 0
    assert differences(before, final_state(folder)) == []


@pytest.mark.parametrize('loop', ['epochs', 'iterations'])
def test_every_epoch_is_whole_after_other_batch_sizes(loop, tmp_path,
                                                      monkeypatch):
    import engine_toy
    original, loaded = engine_toy.ToyDataset.__getitem__, []

    def noted(self, idx):
        if self.length == 12:  # of training
            loaded.append((getattr(idx, 'epoch', -1), int(idx)))
        return original(self, idx)

    monkeypatch.setattr(engine_toy.ToyDataset, '__getitem__', noted)
    plain = dict(
        val_cfg=None, val_dataloader=None, val_evaluator=None,
        param_scheduler=None, custom_hooks=[], **{
            'default_hooks.checkpoint.save_best': None,
            'default_hooks.checkpoint.interval': 1,
            'default_hooks.checkpoint.by_epoch': loop == 'epochs',
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False
        })

    def go(batch_size, epochs, iters):
        length = {'train_cfg.max_epochs': epochs} if loop == 'epochs' else \
            dict(train_cfg=dict(
                _delete_=True, by_epoch=False, max_iters=iters))
        options = {**plain, **length}
        options['train_dataloader.batch_size'] = batch_size
        train(tmp_path, True, **options)

    # epochs have 12, 3, 3, 6 and 6 iterations
    for args in ((1, 2, 24), (4, 3, 27), (4, 4, 30), (2, 5, 36), (2, 6, 42)):
        go(*args)
    for epoch in range(6):
        assert sorted(i for e, i in loaded if e == epoch) == list(range(12))
