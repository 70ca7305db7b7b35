# Copyright (c) costa_mm authors. All rights reserved.
"""Shards on the one card that there is; without a card, over gloo.

One process has nothing to share, but all else happens: weights on a device,
states gathered to the host, averages swapped in and out, resuming.
"""
import sys
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / 'test_engine')]

from engine_toy import PLAIN, train_rank  # noqa: E402
from test_distributed import free_port  # noqa: E402

CHANGES = {
    **PLAIN,
    'custom_hooks': [dict(type='STVGEMAHook', momentum=0.1)],
    'optim_wrapper': dict(
        _delete_=True, type='OptimWrapper', clip_grad=dict(max_norm=0.1),
        optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
    'train_cfg.max_epochs': 3,
    'train_cfg.val_interval': 1,
    'default_hooks.checkpoint.interval': 6,
    'default_hooks.checkpoint.save_best': None,
}


def assert_near(got, want, path=''):
    if isinstance(want, torch.Tensor):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5, msg=path)
    elif isinstance(want, dict):
        assert got.keys() == want.keys(), path
        for key, value in want.items():
            assert_near(got[key], value, f'{path} {key}')


def test_a_sharded_run_is_an_ordinary_one(finish, tmp_path):
    ends = {}
    for name, shards in (('whole', False), ('sharded', True),
                         ('resumed', True)):
        folder, changes = tmp_path / name, dict(CHANGES)
        folder.mkdir()
        if shards:
            changes['model_wrapper_cfg'] = dict(type='ShardedDataParallel')
        if name == 'resumed':
            (folder / 'last_checkpoint').write_text(
                str(tmp_path / 'sharded' / 'iter_12.pth'))
        assert finish(train_rank, 0, 1, free_port(), folder,
                      name == 'resumed', **changes) == 0
        end = torch.load(folder / 'iter_18.pth', map_location='cpu')
        ends[name] = {
            key: end[key]
            for key in ('state_dict', 'ema_state_dict', 'optimizer')}
    assert len(ends['whole']['optimizer']['state']) > 3
    assert_near(ends['sharded'], ends['whole'])
    assert_near(ends['resumed'], ends['whole'])
