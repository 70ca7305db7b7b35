# Copyright (c) costa_mm authors. All rights reserved.
"""Sharded training, two gloo processes."""
import json
import os
import signal
from types import SimpleNamespace

import engine_costa
import pytest
import torch
from engine_toy import (PLAIN, ToyModel, differences, final_state, toy_config,
                        train_rank)
from mmengine.optim import build_optim_wrapper
from test_distributed import free_port, join, wait_for
from tiny_model import build, grounder_cfg, make_batch
from torch import nn

from costa_mm.engine import STVGRunner
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


SHARDED = {
    'model_wrapper_cfg': dict(type='ShardedDataParallel'),
    'custom_hooks': [
        dict(type='STVGEMAHook', momentum=0.1),
        dict(type='SaveOnSignalHook'),
        dict(type='NonFiniteLossHook')
    ],
    'train_dataloader.batch_size': 1,
    'train_dataloader.dataset.sleep': 0.01,
    'default_hooks.checkpoint.interval': 10,
    'optim_wrapper.accumulative_counts': 3,
}


def test_sharded_resumption_is_exact(launch, tmp_path):
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'

    def start(folder, resume=False):
        port = free_port()
        return [
            launch(train_rank, rank, 2, port, folder, resume, **SHARDED)
            for rank in range(2)
        ]

    assert join(start(whole)) == [0, 0]
    pair = start(broken)
    wait_for(broken / 'iter_10.pth')  # in the middle of an accumulation
    ranks = torch.load(broken / 'iter_10.pth')['run_state']['ranks']
    assert len({rank['gradient_file'] for rank in ranks}) == 2
    for process in pair:
        os.kill(process.pid, signal.SIGKILL)
    join(pair)
    assert join(start(broken, True)) == [0, 0]
    assert differences(final_state(whole), final_state(broken)) == []


def test_averages_are_those_of_whole_models(launch, tmp_path):
    """With validations between, which go by the averages."""
    changes = {
        **SHARDED, **PLAIN,
        'custom_hooks': [dict(type='STVGEMAHook', momentum=0.1,
                              begin_iter=5)],
    }
    del changes['train_dataloader.dataset.sleep']
    states = []
    for name in ('ShardedDataParallel', 'MMDistributedDataParallel'):
        folder, port = tmp_path / name, free_port()
        changes['model_wrapper_cfg'] = dict(type=name)
        assert join([launch(train_rank, rank, 2, port, folder, False,
                            **changes) for rank in range(2)]) == [0, 0]
        states.append(torch.load(folder / 'iter_48.pth'))
    ours, theirs = states
    for key in ('state_dict', 'ema_state_dict'):
        assert ours[key].keys() == theirs[key].keys()
        for name, value in theirs[key].items():
            torch.testing.assert_close(ours[key][name], value, rtol=1e-5,
                                       atol=1e-6, msg=f'{key} {name}')
    weights, averages = ours['ema_state_dict'], ours['state_dict']
    assert weights['steps'] == 48 - 4
    assert not torch.equal(weights['module.conv.weight'],
                           averages['conv.weight'])
    scores = [state['message_hub']['log_scalars']['val/toy/score']
              for state in states]
    for one, other in zip(*(list(s.data[0]) for s in scores)):
        assert one == pytest.approx(other, rel=1e-5)


def test_a_run_may_go_on_with_averages_it_had_not(launch, tmp_path):
    changes = {**SHARDED, **PLAIN}
    for hooks in ([], [dict(type='STVGEMAHook', momentum=0.1)]):
        port = free_port()
        changes['custom_hooks'] = hooks
        changes['train_cfg.max_epochs'] = 8 if hooks else 4
        assert join([launch(train_rank, rank, 2, port, tmp_path, bool(hooks),
                            **changes) for rank in range(2)]) == [0, 0]
    end = torch.load(tmp_path / 'iter_48.pth')
    assert end['ema_state_dict']['steps'] == 24
    assert not torch.equal(end['ema_state_dict']['module.conv.weight'],
                           end['state_dict']['conv.weight'])


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
    assert differences(final_state(whole, last),
                       final_state(broken, last)) == []
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
        toy_config(tmp_path, model_wrapper_cfg=SHARDED['model_wrapper_cfg']))
    assert type(runner.model) is ToyModel
