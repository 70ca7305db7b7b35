# Copyright (c) costa_mm authors. All rights reserved.
"""The same promises for CoSTA-tiny: real model, real videos, augmentation."""
import json
import os
import random
import shutil
import signal
import time

import engine_costa
import numpy as np
import pytest
import torch
from engine_toy import differences, final_state
from test_distributed import free_port, join

from costa_mm.datasets import HCSTVGDataset, VideoReadError

SIGKILLED = -signal.SIGKILL
AMP = {'optim_wrapper.type': 'STVGAmpOptimWrapper'}


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    engine_costa.make_videos(folder)
    return folder


@pytest.mark.parametrize('changes, kills', [({}, 4), (AMP, 2)],
                         ids=['float32', 'amp'])
def test_kills_change_nothing(videos, launch, finish, tmp_path, changes,
                              kills):
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    assert finish(engine_costa.train, whole, videos, **changes) == 0
    seed = time.time_ns() % 2**32
    print(f'seed of the kills: {seed}')
    rng = random.Random(seed)
    mark = broken / 'last_checkpoint'
    for _ in range(kills):
        before = mark.stat().st_mtime_ns if mark.exists() else 0
        process = launch(engine_costa.train, broken, videos, True, **changes)
        while process.is_alive():
            if mark.exists() and mark.stat().st_mtime_ns != before:
                break
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == SIGKILLED
    assert finish(engine_costa.train, broken, videos, True, **changes) == 0
    expected = final_state(whole, 'iter_24.pth')
    assert differences(expected, final_state(broken, 'iter_24.pth')) == []
    # frozen, but drawn at random: no other run could draw it again
    assert any('text_encoder.model' in k for k in expected['state_dict'])


@pytest.fixture(scope='module')
def note_steps(videos, launch, finish, tmp_path_factory):
    """Train by one process or by two and note the gradients of every update
    in the folder that is returned."""

    def run(processes,
            samples,
            optim_wrapper='OptimWrapper',
            double=True,
            **more):
        folder = tmp_path_factory.mktemp('steps')
        note = engine_costa.GradientNote(str(folder), optim_wrapper, double)
        changes = {
            'dropout': 0.0,
            'optim_wrapper': dict(
                _delete_=True,
                type=optim_wrapper,
                optimizer=dict(type='SGD', lr=1e-3)),
            'param_scheduler': None,
            'custom_hooks': [],
            'train_cfg.max_epochs': 1,
            'train_dataloader.dataset.indices': samples,
            'train_dataloader.batch_size': 2 // processes,
            **more
        }
        args = folder, videos, False, note
        if processes == 1:
            codes = [finish(engine_costa.train, *args, **changes)]
        else:
            port = free_port()
            codes = join([
                launch(engine_costa.train_rank, r, 2, port, *args, **changes)
                for r in range(2)
            ])
        assert not any(codes)
        return folder

    return run


@pytest.fixture(scope='module')
def steps(note_steps):
    """By one process and by two; 11 samples do not divide by 2."""
    return note_steps(1, 11), note_steps(2, 11)


def compare_gradients(step, *folders):
    """Norm of the first gradients of a step, relative difference."""
    one, two = (
        torch.load(folder / f'grads_{step}.pth', weights_only=True)
        for folder in folders)
    assert len(one) == len(two) > 100
    norm, error = (
        torch.stack([g.norm() for g in grads]).norm()
        for grads in (one, [a - b for a, b in zip(one, two)]))
    print(f'step {step}: norm {norm:.3g}, relative difference '
          f'{error / norm:.1e}')
    return norm, error / norm


def test_two_processes_have_the_gradients_of_one(steps):
    for step in range(1, 7):
        norm, error = compare_gradients(step, *steps)
        assert norm > 0.1 and error < 1e-10


def test_two_processes_have_the_gradients_of_one_in_mixed_precision(
        note_steps):
    """To 1 %: sums of other shapes are rounded otherwise.  What bfloat16
    itself costs is more."""
    # no labels of its own, which rounding can turn over, and the same weights
    # in every step
    options = {
        'double': False,
        'model.head.beta': 1.0,
        'optim_wrapper.optimizer.lr': 0.0
    }
    single = note_steps(1, 11, **options)
    one, two = (
        note_steps(n, 11, 'STVGAmpOptimWrapper', **options) for n in (1, 2))
    for step in range(1, 7):
        norm, rounding = compare_gradients(step, single, one)
        _, error = compare_gradients(step, one, two)
        assert norm > 0.1
        assert error < 0.01 and error < rounding


@pytest.mark.parametrize('amp', [False, True], ids=['float32', 'amp'])
def test_metrics_of_two_processes_with_an_unreadable_video(
        amp, steps, videos, launch, finish, tmp_path):
    folder = tmp_path / 'videos'
    shutil.copytree(videos, folder)
    engine_costa.break_off(folder / 'videos' / 'val' / 'val_00003.mp4')
    whole = HCSTVGDataset(
        str(folder / 'val.json'),
        data_prefix=dict(video=str(folder / 'videos' / 'val')),
        pipeline=engine_costa.dataset(folder, 'val')['pipeline'],
        test_mode=True)
    assert len(whole) == 5  # it is not left out at the start
    with pytest.raises(VideoReadError, match='val_00003'):
        whole[3]
    outs = [tmp_path / 'one.json', tmp_path / 'two.json']
    args = tmp_path / 'work', folder, steps[0] / 'iter_6.pth', amp
    assert finish(engine_costa.evaluate, 0, 1, 0, *args, outs[0]) == 0
    port = free_port()
    assert join([
        launch(engine_costa.evaluate, r, 2, port, *args, outs[1])
        for r in range(2)
    ]) == [0, 0]
    one, two = (json.loads(o.read_text()) for o in outs)
    assert one == two
    assert 'stvg/m_vIoU' in one


@pytest.mark.skipif(
    not os.environ.get('COSTA_SLOW_TESTS'),
    reason='takes minutes: set COSTA_SLOW_TESTS=1')
@pytest.mark.parametrize('changes', [{}, AMP], ids=['float32', 'amp'])
def test_memory_is_flat_over_300_iterations(videos, launch, tmp_path,
                                            changes):
    note = tmp_path / 'memory'
    process = launch(
        engine_costa.train, tmp_path, videos, False,
        engine_costa.MemoryNote(str(note)), **{
            'train_cfg.max_epochs': 50,
            'train_cfg.val_interval': 10,
            'default_hooks.checkpoint.interval': 50
        }, **changes)
    process.join(900)
    assert process.exitcode == 0
    memory = np.loadtxt(note) / 2**20
    assert len(memory) == 300
    early, late = memory[100:150].mean(), memory[250:].mean()
    print(f'MiB: {early:.1f} (100 to 150), {late:.1f} (250 to 300)')
    assert late - early < 0.02 * early
