# Copyright (c) costa_mm authors. All rights reserved.
"""Two gloo processes on one machine."""
import os
import signal
import socket
import time

import pytest
import torch
from engine_toy import PLAIN, differences, final_state, train, train_rank


def free_port() -> int:
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


@pytest.fixture
def launch_pair(launch):

    def start(work_dir, *args, **changes):
        port = free_port()
        return [
            launch(train_rank, rank, 2, port, work_dir, *args, **changes)
            for rank in range(2)
        ]

    return start


def join(processes, timeout=300):
    """Exit codes; a process that hangs is an error."""
    end = time.time() + timeout
    for p in processes:
        p.join(max(end - time.time(), 0.1))
    hanging = [p for p in processes if p.is_alive()]
    for p in hanging:
        p.kill()
        p.join()
    assert not hanging, 'a process hangs'
    return [p.exitcode for p in processes]


def wait_for(path, timeout=300):
    end = time.time() + timeout
    while not path.exists():
        assert time.time() < end, f'{path} does not appear'
        time.sleep(0.01)


@pytest.mark.parametrize('length', [12, 11])
def test_two_processes_equal_one_with_two_samples(finish, launch_pair,
                                                  tmp_path, length):
    changes = dict(PLAIN)
    changes.update({
        'train_dataloader.dataset.length': length,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
        'train_cfg.max_epochs': 2,
    })
    one, two = tmp_path / 'one', tmp_path / 'two'
    assert finish(train, one, **changes) == 0
    changes['train_dataloader.batch_size'] = 1
    assert join(launch_pair(two, **changes)) == [0, 0]
    # plain SGD: the first step is the gradient times the rate
    for step in (1, 12):
        a, b = (torch.load(d / f'iter_{step}.pth', weights_only=True)
                for d in (one, two))
        for name, weight in a['state_dict'].items():
            torch.testing.assert_close(
                weight, b['state_dict'][name], rtol=0, atol=1e-6, msg=name)
    ranks = [
        torch.load(two / f'rank{r}.pth', weights_only=True) for r in range(2)
    ]
    assert differences(*ranks) == []


def test_metrics_are_equal_with_a_broken_sample(finish, launch_pair, tmp_path):
    # 5 samples do not divide by 2, and one of them is replaced
    changes = {'val_dataloader.dataset.bad': [3], 'train_cfg.max_epochs': 2}
    # the weights stay as they are, so that nothing but the sharding differs
    changes['optim_wrapper.optimizer.lr'] = 0.0
    changes.update(
        {k: v
         for k, v in PLAIN.items() if k != 'optim_wrapper'})
    one, two = tmp_path / 'one', tmp_path / 'two'
    assert finish(train, one, **changes) == 0
    assert join(launch_pair(two, **changes)) == [0, 0]
    scores = []
    for folder in (one, two):
        info = torch.load(
            next(folder.glob('best_*')),
            weights_only=True)['message_hub']['log_scalars']
        scores.append({
            k: v.current()
            for k, v in info.items() if k.startswith('val/toy')
        })
    assert scores[0] == scores[1]
    assert scores[0]['val/toy/count'] == 4


def test_resumption_of_two_processes_is_exact(launch_pair, tmp_path):
    whole, broken = tmp_path / 'whole', tmp_path / 'broken'
    changes = {
        'optim_wrapper.accumulative_counts': 3,
        'train_dataloader.batch_size': 1,
        'train_dataloader.dataset.sleep': 0.01,
        'default_hooks.checkpoint.interval': 10,
    }
    assert join(launch_pair(whole, **changes)) == [0, 0]
    # SIGTERM for one of them, in the middle of a window of 3 iterations
    pair = launch_pair(broken, **changes)
    wait_for(broken / 'iter_10.pth')
    os.kill(pair[1].pid, signal.SIGTERM)
    assert join(pair) == [75, 75]
    last = (broken / 'last_checkpoint').read_text()
    state = torch.load(last, weights_only=True)
    assert len(state['run_state']['ranks']) == 2
    if state['meta']['iter'] % 3:
        # one file per process: nobody gathers the gradients of all
        files = [r['gradient_file'] for r in state['run_state']['ranks']]
        assert len({*files}) == 2 and 'gradients' not in state['run_state'][
            'ranks'][0]
        for name in files:
            held = torch.load(broken / name, weights_only=True)
            assert 'conv.weight' in held
    # SIGKILL for all of them
    pair = launch_pair(broken, True, **changes)
    wait_for(broken / 'iter_20.pth')
    for p in pair:
        os.kill(p.pid, signal.SIGKILL)
    join(pair)
    assert join(launch_pair(broken, True, **changes)) == [0, 0]
    assert differences(final_state(whole), final_state(broken)) == []
    assert not (broken / 'interrupted.pth').exists()
    # what belongs to a removed checkpoint is removed with it
    for file in broken.glob('*.gradients_*'):
        assert (broken / file.name.split('.gradients_')[0]).exists()


def test_a_dead_process_ends_the_others(launch_pair, tmp_path):
    pair = launch_pair(
        tmp_path, **{'train_dataloader.dataset.sleep': 0.02})
    wait_for(tmp_path / 'iter_2.pth')
    os.kill(pair[0].pid, signal.SIGKILL)
    assert join(pair, timeout=20)[1] not in (0, None)


def test_a_hanging_process_ends_the_others(launch_pair, tmp_path):
    pair = launch_pair(
        tmp_path,
        env_cfg=dict(dist_cfg=dict(backend='gloo', timeout=8)),
        **{'train_dataloader.dataset.sleep': 0.02})
    wait_for(tmp_path / 'iter_2.pth')
    os.kill(pair[0].pid, signal.SIGSTOP)
    pair[1].join(90)
    os.kill(pair[0].pid, signal.SIGKILL)
    assert join(pair)[1] not in (0, None)


def test_skipping_keeps_processes_in_step(launch_pair, tmp_path):
    changes = dict(PLAIN)
    changes.update({
        'custom_hooks': [dict(type='NonFiniteLossHook', action='skip')],
        'optim_wrapper':
        dict(PLAIN['optim_wrapper'], accumulative_counts=2),
        'train_dataloader.dataset.nan_at': [5],
        'train_dataloader.batch_size': 1,
    })
    assert join(launch_pair(tmp_path, **changes)) == [0, 0]
    ranks = [
        torch.load(tmp_path / f'rank{r}.pth', weights_only=True)
        for r in range(2)
    ]
    assert differences(*ranks) == []
    assert all(v.isfinite().all() for v in ranks[0].values())
    info = torch.load(
        tmp_path / 'iter_48.pth',
        weights_only=True)['message_hub']['runtime_info']
    assert info['nonfinite_skipped'] == 8  # once in each epoch
