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
    # the frozen text encoder is in neither of them
    for name in ('state_dict', 'ema_state_dict'):
        assert not any('text_encoder.model' in k for k in expected[name])


@pytest.fixture(scope='module')
def steps(videos, launch, finish, tmp_path_factory):
    """Checkpoints after every iteration, by one process and by two."""
    changes = {
        'dropout': 0.0,
        'optim_wrapper': dict(
            _delete_=True,
            type='OptimWrapper',
            optimizer=dict(type='SGD', lr=1e-3)),
        'param_scheduler': None,
        'custom_hooks': [],
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
        # 11 of the 12: does not divide by 2
        'train_dataloader.dataset.indices': 11,
    }
    one, two = (tmp_path_factory.mktemp(n) for n in ('one', 'two'))
    assert finish(engine_costa.train, one, videos, **changes) == 0
    changes['train_dataloader.batch_size'] = 1
    port = free_port()
    assert join([
        launch(engine_costa.train_rank, r, 2, port, two, videos, **changes)
        for r in range(2)
    ]) == [0, 0]
    return one, two


def weights(folder, step):
    return torch.load(
        folder / f'iter_{step}.pth', weights_only=True)['state_dict']


def test_two_processes_have_the_gradients_of_one(steps):
    one, two = steps
    torch.manual_seed(0)
    worst = 0.0
    for step in range(2, 7):
        # plain SGD: the difference of the weights is the gradient times 1e-3
        before, after = ([weights(f, s) for f in (one, two)]
                         for s in (step - 1, step))
        grads = [{k: (b[k] - a[k]) / 1e-3
                  for k in b} for b, a in zip(before, after)]
        norm = torch.stack([g.norm() for g in grads[0].values()]).norm()
        assert norm > 0.1
        error = torch.stack(
            [(grads[0][k] - grads[1][k]).norm() for k in grads[0]]).norm()
        worst = max(worst, float(error / norm))
    print(f'relative difference of the gradients: {worst:.2e}')
    # weights are kept with 24 bits: their difference has fewer
    assert worst < 1e-3
    for key, value in weights(one, 6).items():
        torch.testing.assert_close(
            value, weights(two, 6)[key], rtol=0, atol=1e-6, msg=key)


def test_metrics_of_two_processes_with_an_unreadable_video(
        steps, videos, launch, finish, tmp_path):
    folder = tmp_path / 'videos'
    shutil.copytree(videos, folder)
    broken = folder / 'videos' / 'val' / 'val_00003.mp4'
    broken.write_bytes(broken.read_bytes()[:600])
    outs = [tmp_path / 'one.json', tmp_path / 'two.json']
    args = tmp_path / 'work', folder, steps[0] / 'iter_6.pth'
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
