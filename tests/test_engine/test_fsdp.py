# Copyright (c) costa_mm authors. All rights reserved.
"""Sharded training by MMEngine's wrapper, two gloo processes."""
import os

import torch
from mmengine.optim import build_optim_wrapper
from test_distributed import free_port, join
from tiny_model import build, grounder_cfg, make_batch

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
    model = MODEL_WRAPPERS.build(
        dict(
            type='MMFullyShardedDataParallel',
            module=build(grounder_cfg()).train(),
            device_id=torch.device('cpu'),
            auto_wrap_policy='grounder_wrap_policy'))
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
