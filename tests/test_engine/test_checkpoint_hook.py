# Copyright (c) costa_mm authors. All rights reserved.
"""There is always a whole checkpoint."""
import errno
import os
import subprocess

import pytest
import torch
from engine_toy import ToyMetric, final_state, toy_config, train

from costa_mm.engine import AtomicCheckpointHook, STVGRunner, checkpoint_io
from costa_mm.registry import METRICS


def test_unknown_argument_raises():
    with pytest.raises(TypeError, match='intervall'):
        AtomicCheckpointHook(intervall=2)


def test_arguments_of_the_parent_work(tmp_path):
    train(
        tmp_path, **{
            'train_cfg.max_epochs': 3,
            'default_hooks.checkpoint': dict(
                _delete_=True,
                type='AtomicCheckpointHook',
                interval=1,
                by_epoch=True,
                max_keep_ckpts=2,
                filename_tmpl='at_{}.pth',
                save_optimizer=False)
        })
    files = {p.name for p in tmp_path.glob('*.pth')}
    assert files == {'at_2.pth', 'at_3.pth'}
    checkpoint = torch.load(tmp_path / 'at_3.pth', weights_only=True)
    assert 'optimizer' not in checkpoint
    assert checkpoint['meta']['epoch'] == 3
    assert checkpoint['meta']['iter'] == 18
    last = (tmp_path / 'last_checkpoint').read_text()
    assert last == str(tmp_path / 'at_3.pth')


def test_best_is_replaced_only_by_a_better_one(tmp_path, monkeypatch):
    import engine_toy
    scores = iter([0.1, 0.5, 0.3, 0.7])
    monkeypatch.setattr(engine_toy.ToyMetric, 'compute_metrics',
                        lambda self, results: dict(score=next(scores)))
    present = []
    original = AtomicCheckpointHook.after_val_epoch

    def noted(self, runner, metrics):
        original(self, runner, metrics)
        present.append([p.name for p in tmp_path.glob('best*')])

    monkeypatch.setattr(AtomicCheckpointHook, 'after_val_epoch', noted)
    train(tmp_path)
    assert present == [[f'best_toy_score_iter_{i}.pth']
                       for i in (12, 24, 24, 48)]


def test_best_by_an_unknown_metric_is_an_error(tmp_path):
    with pytest.raises(KeyError, match='toy/score'):
        train(tmp_path, **{'default_hooks.checkpoint.save_best': 'stvg/x'})


def test_best_holds_the_averaged_weights(tmp_path):
    train(tmp_path, **{'train_cfg.max_epochs': 2})
    best = torch.load(
        next(tmp_path.glob('best*')), weights_only=True)['state_dict']
    last = torch.load(tmp_path / 'iter_12.pth', weights_only=True)
    name = 'conv.weight'
    assert torch.equal(best[name], last['state_dict'][name])
    assert not torch.equal(best[name],
                           last['ema_state_dict'][f'module.{name}'])


@pytest.mark.parametrize('custom, kept', [
    ([], 4),
    ([dict(data_src='loss', method_name='max', window_size='epoch')], 6),
    ([dict(data_src='loss', method_name='max', window_size='global')], 18),
    ([dict(data_src='loss', method_name='min')], 18),
])
def test_history_of_the_log_does_not_grow(tmp_path, custom, kept):
    train(
        tmp_path, **{
            'train_cfg.max_epochs': 3,
            'log_processor': dict(
                type='LogProcessor', window_size=4, custom_cfg=[
                    dict(c, log_name='loss_of_it') for c in custom
                ])
        })
    hub = torch.load(
        tmp_path / 'iter_18.pth', weights_only=True)['message_hub']
    lengths = {k: len(v.data[0]) for k, v in hub['log_scalars'].items()}
    assert lengths['train/loss'] == kept
    assert max(lengths.values()) == kept


def fail_to_write(monkeypatch, after: int):
    """Let the disk be full from the n-th checkpoint on."""
    original, calls = torch.save, [0]

    def full(obj, f, *args, **kwargs):
        calls[0] += 1
        if calls[0] > after:
            f.write(b'the first bytes still fit')
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(obj, f, *args, **kwargs)

    monkeypatch.setattr(checkpoint_io.torch, 'save', full)


def test_full_disk_leaves_the_previous_one(tmp_path, monkeypatch, finish):
    with monkeypatch.context() as m:
        fail_to_write(m, after=2)
        with pytest.raises(OSError, match='No space left') as error:
            train(tmp_path, **{'default_hooks.checkpoint.max_keep_ckpts': 1})
    assert 'iter_4.pth' in str(error.value)
    assert {p.name for p in tmp_path.glob('*.pth*')} == {'iter_4.pth'}
    assert finish(train, tmp_path, True) == 0
    assert final_state(tmp_path)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 300 kB; needs the rights to mount one."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', str(disk)]
    try:
        done = subprocess.run(command, capture_output=True)
    except OSError:
        pytest.skip('there is no mount command')
    if done.returncode:
        pytest.skip('no right to mount a tmpfs')
    yield disk
    subprocess.run(['umount', str(disk)], check=True)


def test_small_disk_leaves_the_previous_one(small_disk):
    path = str(small_disk / 'x.pth')
    checkpoint_io.save_checkpoint_file(dict(a=torch.arange(10)), path)
    with pytest.raises(OSError) as error:
        checkpoint_io.save_checkpoint_file(
            dict(a=torch.zeros(200_000), b=torch.zeros(9)), path)
    assert error.value.errno == errno.ENOSPC
    assert os.listdir(small_disk) == ['x.pth']
    loaded = checkpoint_io.read_checkpoint(path)
    assert torch.equal(loaded['a'], torch.arange(10))


def test_leftovers_are_removed(tmp_path):
    (tmp_path / '.iter_7.host.12.writing.pth').write_bytes(b'half')
    train(tmp_path, **{'train_cfg.max_epochs': 1})
    assert not list(tmp_path.glob('.*.writing*'))


def test_resume_needs_all_weights(tmp_path):
    train(tmp_path, **{'train_cfg.max_epochs': 1})
    path = tmp_path / 'iter_6.pth'
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint['state_dict']['head.weight']
    torch.save(checkpoint, path)
    cfg = toy_config(
        tmp_path, load_from=str(path), resume=True, custom_hooks=[])
    with pytest.raises(ValueError, match='1 missing .*head.weight'):
        STVGRunner.from_cfg(cfg).train()


def test_a_run_that_goes_on_elsewhere_takes_nothing_away(tmp_path):
    """Nor does it leave its own old best file in a folder that has moved."""
    first, moved, other = (tmp_path / n for n in ('first', 'moved', 'other'))
    train(first, **{'train_cfg.max_epochs': 2})
    before = {p.name for p in first.glob('*.pth')}
    assert 'best_toy_score_iter_12.pth' in before
    changes = {'train_cfg.max_epochs': 4,
               'val_evaluator.type': 'RisingMetric'}
    STVGRunner.from_cfg(toy_config(
        other, load_from=str(first / 'iter_12.pth'), resume=True,
        **changes)).train()
    assert {p.name for p in first.glob('*.pth')} == before
    assert [p.name for p in other.glob('best_*')] == [
        'best_toy_score_iter_24.pth']
    first.rename(moved)
    train(moved, True, **changes)
    assert [p.name for p in moved.glob('best_*')] == [
        'best_toy_score_iter_24.pth']


@METRICS.register_module()
class RisingMetric(ToyMetric):
    """Every validation is better than all before."""

    def compute_metrics(self, results):
        return dict(super().compute_metrics(results), score=1.)
