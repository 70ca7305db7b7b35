# Copyright (c) costa_mm authors. All rights reserved.
"""Sharded training, two gloo processes."""
import json
import os
import signal
from types import SimpleNamespace

import engine_costa
import numpy as np
import pytest
import torch
from engine_toy import (PLAIN, ToyModel, differences, final_state, toy_config,
                        train_rank)
from mmengine.optim import build_optim_wrapper
from test_distributed import free_port, join, wait_for
from test_signal_hook import mark_validation
from tiny_model import build, grounder_cfg, make_batch
from torch import nn

from costa_mm.engine import INTERRUPTED_EXIT_CODE, STVGRunner
from costa_mm.engine.sharding import ShardedDataParallel
from costa_mm.registry import HOOKS

OPTIM = dict(
    type='OptimWrapper',
    constructor='costa_mm.GroupOptimWrapperConstructor',
    optimizer=dict(type='SGD', lr=0.1),
    paramwise_cfg=dict(
        groups=dict(text=dict(prefixes=('text_encoder.', ), lr=0.))))


def one_video(batch: dict, index: int) -> dict:
    return {name: part[index:index + 1] for name, part in batch.items()}


def step_of_a_rank(rank: int, port: int, folder: str) -> None:
    """One step on one of two videos; dumps what it has and what is whole."""
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2',
        MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.distributed.init_process_group('gloo')
    from mmengine.registry import MODEL_WRAPPERS
    from torch.distributed.fsdp import StateDictType

    import costa_mm.engine  # noqa: F401
    model = MODEL_WRAPPERS.build(
        dict(
            type='costa_mm.ShardedDataParallel',
            module=build(grounder_cfg()).train()))
    wrapper = build_optim_wrapper(model, OPTIM)
    log = model.train_step(one_video(make_batch(), rank), wrapper)
    own = sum(p.numel() for p in model.parameters())
    with model.state_dict_type(model, StateDictType.FULL_STATE_DICT):
        state = model.state_dict()
    torch.save(dict(own=own, state=state, loss=log['loss'].detach()),
               f'{folder}/{rank}.pth')


def test_a_sharded_step_is_that_of_one_process(launch, tmp_path):
    port = free_port()
    ranks = [launch(step_of_a_rank, rank, port, str(tmp_path))
             for rank in range(2)]
    model = build(grounder_cfg()).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    whole = sum(p.numel() for p in model.parameters())
    wrapper = build_optim_wrapper(model, {**OPTIM, 'accumulative_counts': 2})
    losses = [model.train_step(one_video(make_batch(), i), wrapper)['loss']
              for i in range(2)]
    assert join(ranks) == [0, 0]
    first, second = (torch.load(tmp_path / f'{i}.pth') for i in range(2))
    for rank, loss in zip((first, second), losses):
        assert rank['own'] < 0.6 * whole  # half, and what fills up shards
        torch.testing.assert_close(rank['loss'], loss.detach())
    after = model.state_dict()
    assert first['state'].keys() == after.keys()
    changed = 0
    for name, value in after.items():
        torch.testing.assert_close(
            first['state'][name], value, rtol=1e-4, atol=1e-5)
        changed += not torch.equal(value, before[name])
    assert changed > 100
    name = 'text_encoder.proj.weight'  # its group has a rate of 0
    assert torch.equal(first['state'][name], before[name])


SHARDED_CFG = dict(type='ShardedDataParallel')
SHARDED = {
    'model_wrapper_cfg': SHARDED_CFG,
    'train_dataloader.batch_size': 1,
    'train_dataloader.dataset.sleep': 0.01,
    'default_hooks.checkpoint.interval': 10,
    'optim_wrapper.accumulative_counts': 3,
}


def start_pair(launch, folder, resume=False):
    port = free_port()
    return [
        launch(train_rank, rank, 2, port, folder, resume, **SHARDED)
        for rank in range(2)
    ]


@pytest.fixture(scope='module')
def whole(launch, tmp_path_factory):
    """The end of a sharded run with an average that nothing interrupts."""
    folder = tmp_path_factory.mktemp('whole')
    assert join(start_pair(launch, folder)) == [0, 0]
    state = final_state(folder)
    assert len(state) == 5  # the average is one of them
    return state


def test_sharded_resumption_is_exact(launch, whole, tmp_path):
    pair = start_pair(launch, tmp_path)
    wait_for(tmp_path / 'iter_10.pth')  # in the middle of an accumulation
    ranks = torch.load(tmp_path / 'iter_10.pth')['run_state']['ranks']
    assert len({rank['gradient_file'] for rank in ranks}) == 2
    for process in pair:
        os.kill(process.pid, signal.SIGKILL)
    join(pair)
    assert join(start_pair(launch, tmp_path, True)) == [0, 0]
    assert differences(whole, final_state(tmp_path)) == []


def test_a_signal_while_the_average_is_validated(launch, whole, tmp_path):
    """The weights that FSDP keeps whole are then the averaged ones."""
    port = free_port()
    pair = [
        launch(mark_validation, tmp_path, rank, 2, port, **SHARDED)
        for rank in range(2)
    ]
    wait_for(tmp_path / 'validating')
    os.kill(pair[1].pid, signal.SIGTERM)
    assert join(pair) == [INTERRUPTED_EXIT_CODE] * 2
    assert (tmp_path / 'interrupted.pth').exists()
    assert join(start_pair(launch, tmp_path, True)) == [0, 0]
    assert differences(whole, final_state(tmp_path)) == []


AVERAGE = dict(type='STVGEMAHook', momentum=0.1)
AVERAGES = dict(
    none=[],
    each=[AVERAGE],
    late=[dict(AVERAGE, begin_iter=5, interval=3)])


@pytest.fixture(scope='module')
def trained(launch, tmp_path_factory):
    """Folder of a training of two processes, also of a resumed one."""
    folders = {}

    def train(kind, hooks, resume_from=()):
        key = kind, hooks, resume_from
        if key not in folders:
            folder = folders[key] = tmp_path_factory.mktemp(kind)
            if resume_from:
                (folder / 'last_checkpoint').write_text(
                    str(train(*resume_from) / 'iter_12.pth'))
            changes = {
                **PLAIN,
                'model_wrapper_cfg': SHARDED_CFG if kind == 'sharded' else
                None,
                'custom_hooks': AVERAGES[hooks],
                'train_dataloader.batch_size': 1,
                'train_cfg.max_epochs': 3,
                'train_cfg.val_interval': 1,
                'default_hooks.checkpoint.interval': 6,
                'default_hooks.checkpoint.save_best': None,
            }
            port = free_port()
            assert join([
                launch(train_rank, rank, 2, port, folder, bool(resume_from),
                       **changes) for rank in range(2)
            ]) == [0, 0]
        return folders[key]

    return train


def assert_near(got: dict, want: dict) -> None:
    """Weights and, where there are some, averages are equal but rounded."""
    for key in ('state_dict', 'ema_state_dict'):
        assert (key in want) == (key in got)
        a, b = want.get(key, {}), got.get(key, {})
        assert a.keys() == b.keys()
        for name, value in a.items():
            torch.testing.assert_close(b[name], value, rtol=0, atol=1e-6,
                                       msg=f'{key} {name}')


def end_of(folder) -> dict:
    return torch.load(folder / 'iter_18.pth')


@pytest.mark.parametrize('hooks', AVERAGES)
def test_a_sharded_run_is_that_of_whole_weights(trained, hooks):
    """Weights, averages and validations, in between which they are swapped.

    FSDP keeps the whole weights of the toy model after a validation.
    """
    want, got = (end_of(trained(kind, hooks)) for kind in ('ddp', 'sharded'))
    assert_near(got, want)
    if hooks != 'none':
        name = 'conv.weight'
        assert not torch.allclose(got['state_dict'][name],
                                  got['ema_state_dict'][f'module.{name}'],
                                  atol=1e-4)
    histories = [
        c['message_hub']['log_scalars']['val/toy/score'].data[0]
        for c in (want, got)
    ]
    assert len(histories[0]) == 2  # the third one comes after saving
    np.testing.assert_allclose(*histories, rtol=0, atol=1e-6)


@pytest.mark.parametrize('before, after, hooks', [
    ('ddp', 'sharded', 'late'),
    ('sharded', 'ddp', 'late'),
    ('sharded', 'sharded', 'none'),
])
def test_shards_and_whole_weights_resume_each_other(trained, before, after,
                                                    hooks):
    """Or, without an average in the checkpoint, both start a new one."""
    average = 'late'
    got = trained(after, average, (before, hooks))
    want = trained('ddp', average, ('ddp', hooks))
    assert_near(end_of(got), end_of(want))
    if hooks == average:
        assert_near(end_of(got), end_of(trained('ddp', average)))


def test_costa_in_shards_goes_on_and_is_read_by_one_process(
        launch, finish, tmp_path):
    videos, whole, broken = (tmp_path / n for n in ('v', 'whole', 'broken'))
    engine_costa.make_videos(videos)
    changes = {
        **SHARDED,
        'optim_wrapper.type': 'STVGAmpOptimWrapper',
        'train_cfg.max_epochs': 1,
        'train_cfg.val_interval': 1,
        'default_hooks.checkpoint.interval': 4,
    }
    del changes['train_dataloader.dataset.sleep']

    def start(folder, resume=False):
        port = free_port()
        return [
            launch(engine_costa.train_rank, rank, 2, port, folder, videos,
                   resume, **changes) for rank in range(2)
        ]

    assert join(start(whole)) == [0, 0]
    pair = start(broken)
    wait_for(broken / 'iter_4.pth')
    for process in pair:
        os.kill(process.pid, signal.SIGKILL)
    join(pair)
    assert join(start(broken, True)) == [0, 0]
    last = 'iter_6.pth'
    end = final_state(broken, last)
    assert differences(final_state(whole, last), end) == []
    assert end['ema_state_dict'].keys() == {
        'steps', *(f'module.{name}' for name in end['state_dict'])}
    # an ordinary checkpoint of an ordinary model
    args = tmp_path / 'test', videos, broken / last, False
    assert finish(engine_costa.evaluate, 0, 1, 0, *args,
                  tmp_path / 'out.json') == 0
    scores = json.loads((tmp_path / 'out.json').read_text())
    log = torch.load(broken / last)['message_hub']['log_scalars']
    assert scores['stvg/m_tIoU'] == pytest.approx(
        log['val/stvg/m_tIoU'].current(), abs=1e-6)


def test_what_cannot_be_sharded_is_told(tmp_path):
    cfg = toy_config(
        tmp_path, model_wrapper_cfg=dict(type='MMFullyShardedDataParallel'))
    with pytest.raises(ValueError, match='costa_mm.ShardedDataParallel'):
        STVGRunner.from_cfg(cfg)
    with pytest.raises(ValueError, match='use_orig_params'):
        ShardedDataParallel(nn.Linear(2, 2), use_orig_params=False)
    hook = HOOKS.build(
        dict(type='STVGEMAHook', ema_type='ExponentialMovingAverage'))
    with pytest.raises(ValueError, match='leave ema_type out'):
        hook._shard(None)
    scaled = SimpleNamespace(loss_scaler=torch.amp.GradScaler('cpu'))
    with pytest.raises(ValueError, match='bfloat16'):
        ShardedDataParallel.attach(None, scaled)


def test_processes_without_training_are_not_sharded(tmp_path):
    """One process of a config for several, and tests of its checkpoints."""
    runner = STVGRunner.from_cfg(
        toy_config(tmp_path, model_wrapper_cfg=SHARDED_CFG))
    assert type(runner.model) is ToyModel
