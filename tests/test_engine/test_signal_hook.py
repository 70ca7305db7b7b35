# Copyright (c) costa_mm authors. All rights reserved.
"""SIGTERM saves, exits with its own code, and nothing is lost."""
import multiprocessing
import os
import signal
import subprocess
import time

import pytest
import torch
from engine_toy import differences, final_state, toy_config, train, train_rank

from costa_mm.engine import INTERRUPTED_EXIT_CODE, SaveOnSignalHook, STVGRunner
from costa_mm.engine.hooks.signal_hook import outlive

SLOW = {'train_dataloader.dataset.sleep': 0.01}


AMP = {'optim_wrapper.type': 'STVGAmpOptimWrapper'}


@pytest.fixture(scope='module')
def whole(finish, tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole')
    assert finish(train, folder) == 0
    return final_state(folder)


@pytest.fixture(scope='module')
def whole_amp(finish, tmp_path_factory):
    folder = tmp_path_factory.mktemp('whole_amp')
    assert finish(train, folder, **AMP) == 0
    return final_state(folder)


def terminate(process, mark, kill=os.kill,
              numbers=(signal.SIGTERM, signal.SIGTERM)):
    # twice: torchrun and the scheduler both send it
    while not mark.exists():
        assert process.is_alive()
        time.sleep(0.005)
    for number in numbers:
        kill(process.pid, number)
    process.join(60)
    assert process.exitcode == INTERRUPTED_EXIT_CODE


@pytest.mark.parametrize('expected, changes', [('whole', {}),
                                               ('whole_amp', AMP)])
def test_sigterm_in_training(expected, changes, launch, finish, request,
                             tmp_path):
    # no regular checkpoint before iteration 40: this one is the only one
    process = launch(mark_iteration, tmp_path, **changes, **SLOW,
                     **{'default_hooks.checkpoint.interval': 40})
    terminate(process, tmp_path / 'iterated')
    files = {p.name for p in tmp_path.glob('*.pth')}
    assert files == {'interrupted.pth'}
    checkpoint = torch.load(tmp_path / 'interrupted.pth', weights_only=True)
    assert checkpoint['meta']['iter'] >= 5
    assert finish(train, tmp_path, True, **changes) == 0
    whole = request.getfixturevalue(expected)
    assert differences(whole, final_state(tmp_path)) == []
    assert not (tmp_path / 'interrupted.pth').exists()


def mark_iteration(work_dir, **changes):
    """Train; leave a file when iteration 5 is over."""
    from costa_mm.engine import STVGEMAHook
    original = STVGEMAHook.after_train_iter

    def marked(self, runner, *args, **kwargs):
        original(self, runner, *args, **kwargs)
        if runner.iter == 4:
            open(os.path.join(work_dir, 'iterated'), 'w').close()

    STVGEMAHook.after_train_iter = marked
    train(work_dir, **changes)


def mark_iteration_of_a_group(work_dir, **changes):
    """The same, in a process group of its own."""
    os.setpgrp()
    mark_iteration(work_dir, **changes)


def test_sigterm_for_the_data_workers_too(launch, finish, whole, tmp_path):
    # as torchrun and Slurm send it
    process = launch(mark_iteration_of_a_group, tmp_path, **SLOW,
                     **{'default_hooks.checkpoint.interval': 40})
    terminate(process, tmp_path / 'iterated', os.killpg)
    assert (tmp_path / 'interrupted.pth').exists()
    assert finish(train, tmp_path, True) == 0
    assert differences(whole, final_state(tmp_path)) == []


@pytest.mark.parametrize('numbers, torchrun', [
    ([signal.SIGINT], False), ([signal.SIGINT, signal.SIGTERM], False),
    # torchrun passes on what the terminal has sent already
    ([signal.SIGINT, signal.SIGINT, signal.SIGTERM], True)],
    ids=['alone', 'with_sigterm', 'torchrun'])
def test_ctrl_c_saves_and_ends(launch, finish, whole, tmp_path, numbers,
                               torchrun):
    # for the whole group, as a terminal sends it
    process = launch(
        under_torchrun if torchrun else mark_iteration_of_a_group, tmp_path,
        **SLOW, **{'default_hooks.checkpoint.interval': 40})
    terminate(process, tmp_path / 'iterated', os.killpg, numbers)
    assert {p.name for p in tmp_path.glob('*.pth')} == {'interrupted.pth'}
    assert finish(train, tmp_path, True) == 0
    assert differences(whole, final_state(tmp_path)) == []


def under_torchrun(work_dir, **changes):
    """The same, as torchrun starts it."""
    os.environ['TORCHELASTIC_RUN_ID'] = 'x'
    mark_iteration_of_a_group(work_dir, **changes)


def hang_in_an_iteration(work_dir, **changes):
    """Train; iteration 5 does not end."""
    from costa_mm.engine import STVGEMAHook
    original = STVGEMAHook.after_train_iter

    def hang(self, runner, *args, **kwargs):
        original(self, runner, *args, **kwargs)
        if runner.iter == 4:
            open(os.path.join(work_dir, 'iterated'), 'w').close()
            time.sleep(600)

    STVGEMAHook.after_train_iter = hang
    train(work_dir, **changes)


def test_a_second_ctrl_c_ends_at_once(launch, finish, whole, tmp_path):
    process = launch(hang_in_an_iteration, tmp_path)
    while not (tmp_path / 'iterated').exists():
        assert process.is_alive()
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGINT)
    process.join(0.5)
    assert process.is_alive()
    os.kill(process.pid, signal.SIGINT)
    process.join(10)
    assert process.exitcode == -signal.SIGINT
    # what was saved before is whole, and its folder is free
    assert finish(train, tmp_path, True) == 0
    assert differences(whole, final_state(tmp_path)) == []


def test_other_signals_may_be_chosen(tmp_path):
    hook = SaveOnSignalHook(signals=['SIGUSR1'])
    assert hook.signals == [signal.SIGUSR1]


def sleep_on(ready):
    outlive([signal.SIGTERM])
    ready.set()
    time.sleep(60)


def test_a_worker_dies_of_its_parents_signal_alone():
    context = multiprocessing.get_context('fork')
    ready = context.Event()
    worker = context.Process(target=sleep_on, args=(ready, ))
    worker.start()
    assert ready.wait(30)
    subprocess.run(['kill', '-TERM', str(worker.pid)], check=True)
    worker.join(0.3)
    assert worker.is_alive()
    worker.terminate()
    worker.join(10)
    assert worker.exitcode == 0


def mark_validation(work_dir, *rank, **changes):
    """Train; leave a file in the first validation, which takes its time.

    With ``rank, world, port`` as one of several processes.
    """
    import engine_toy
    original = engine_toy.ToyMetric.process

    def marked(self, *args, **kwargs):
        open(os.path.join(work_dir, 'validating'), 'w').close()
        time.sleep(0.2)
        original(self, *args, **kwargs)

    engine_toy.ToyMetric.process = marked
    (train_rank if rank else train)(*rank, work_dir, **changes)


def test_sigterm_in_validation(launch, finish, whole, tmp_path):
    # the averaged weights are in the model at this moment
    changes = {'default_hooks.checkpoint.interval': 5}
    process = launch(mark_validation, tmp_path, **changes)
    terminate(process, tmp_path / 'validating')
    assert (tmp_path / 'interrupted.pth').exists()
    assert finish(train, tmp_path, True) == 0
    assert differences(whole, final_state(tmp_path)) == []


def test_needs_its_checkpoint_hook(tmp_path):
    cfg = toy_config(
        tmp_path,
        custom_hooks=[dict(type='SaveOnSignalHook')],
        **{
            'default_hooks.checkpoint':
            dict(_delete_=True, type='mmengine.CheckpointHook')
        })
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match='AtomicCheckpointHook'):
        STVGRunner.from_cfg(cfg).train()
    assert signal.getsignal(signal.SIGTERM) is before


def test_unknown_signal():
    with pytest.raises(ValueError, match='SIGNONE'):
        SaveOnSignalHook(signals=['SIGTERM', 'SIGNONE'])
