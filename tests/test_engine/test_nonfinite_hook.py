# Copyright (c) costa_mm authors. All rights reserved.
"""A loss that is not finite touches no weight."""
import pytest
import torch
from engine_toy import ToyModel, toy_config, train
from mmengine.optim import OptimWrapper

from costa_mm.engine import NonFiniteLossError, NonFiniteLossHook, STVGRunner
from costa_mm.engine.hooks.nonfinite_hook import plain

NAN = {'train_dataloader.dataset.nan_at': [5]}


def hooks(**options):
    return [dict(type='NonFiniteLossHook', **options)]


def test_stop_names_the_samples_and_dumps_the_batch(tmp_path):
    with pytest.raises(NonFiniteLossError, match='toy_5') as error:
        train(tmp_path, **NAN)
    dump, = (tmp_path / 'nonfinite').glob('*.pth')
    assert str(dump) in str(error.value)
    content = torch.load(dump, weights_only=True)
    assert 'toy_5' in content['sample_ids']
    inputs = content['batch']['inputs']
    assert any(x.isnan().any() for x in inputs)
    assert content['batch']['data_samples'][0]['sample_id']
    # what was saved before is sound
    for path in tmp_path.glob('iter_*.pth'):
        state = torch.load(path, weights_only=True)['state_dict']
        assert all(v.isfinite().all() for v in state.values())


def test_skip_leaves_the_batch_out_and_counts(tmp_path):
    train(
        tmp_path,
        # a batch norm's statistics see the NaN before the loss does
        model=dict(norm=False),
        custom_hooks=hooks(action='skip'),
        **NAN)
    checkpoint = torch.load(tmp_path / 'iter_48.pth', weights_only=True)
    info = checkpoint['message_hub']['runtime_info']
    assert info['nonfinite_skipped'] == 8
    assert all(v.isfinite().all()
               for v in checkpoint['state_dict'].values())
    # 48 iterations, 8 of them without a step
    states = checkpoint['optimizer']['state'].values()
    assert {int(s['step']) for s in states} == {40}


@pytest.mark.parametrize('action, updates', [('stop', 0), ('skip', 24)])
def test_in_the_middle_of_an_accumulation(tmp_path, action, updates):
    changes = {'optim_wrapper.accumulative_counts': 2, **NAN}
    run = dict(model=dict(norm=False), custom_hooks=hooks(action=action))
    if not updates:
        with pytest.raises(NonFiniteLossError, match='loss nan'):
            train(tmp_path, **run, **changes)
        return
    train(tmp_path, **run, **changes)
    checkpoint = torch.load(tmp_path / 'iter_48.pth', weights_only=True)
    states = checkpoint['optimizer']['state'].values()
    counts = {int(s['step']) for s in states}
    # a batch counts as zero, its window is dropped only where it ends it
    assert len(counts) == 1 and updates - 8 < counts.pop() < updates
    assert all(v.isfinite().all()
               for v in checkpoint['state_dict'].values())


def test_too_many_in_a_row_stop_all_the_same(tmp_path):
    with pytest.raises(NonFiniteLossError, match='3 batches in a row'):
        train(
            tmp_path,
            model=dict(norm=False),
            custom_hooks=hooks(action='skip', max_in_a_row=3, max_dumps=1),
            **{'train_dataloader.dataset.nan_at': list(range(12))})
    assert len(list((tmp_path / 'nonfinite').glob('*.pth'))) == 1


class Explode(torch.autograd.Function):
    """Finite forward, infinite backward."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad * float('inf')


@pytest.mark.parametrize('clip', [
    dict(max_norm=1.), dict(type='value', clip_value=1.), None])
@pytest.mark.parametrize('options, message', [
    (dict(), 'a gradient'),
    (dict(action='skip', max_in_a_row=3), '3 batches in a row'),
])
def test_gradients_are_looked_at(tmp_path, monkeypatch, options, message,
                                 clip):
    original = ToyModel.forward

    def forward(self, inputs, data_samples=None, mode='tensor'):
        out = original(self, inputs, data_samples, mode)
        return {k: Explode.apply(v)
                for k, v in out.items()} if mode == 'loss' else out

    monkeypatch.setattr(ToyModel, 'forward', forward)
    with pytest.raises(NonFiniteLossError, match=message):
        train(tmp_path, custom_hooks=hooks(**options),
              optim_wrapper=dict(clip_grad=clip))


def test_wrapper_is_given_back(tmp_path):
    cfg = toy_config(
        tmp_path, custom_hooks=hooks(), **{'train_cfg.max_epochs': 1})
    runner = STVGRunner.from_cfg(cfg)
    runner.train()
    wrapper = runner.optim_wrapper
    assert wrapper.update_params.__func__ is OptimWrapper.update_params
    assert wrapper.step.__code__.co_name != 'checked_method'
    assert wrapper.clip_func is torch.nn.utils.clip_grad_norm_


def test_unknown_action():
    with pytest.raises(ValueError, match='ignore'):
        NonFiniteLossHook(action='ignore')


def test_plain_is_loadable(tmp_path):
    import numpy as np
    batch = dict(
        a=np.float32(1), b=(np.arange(3), None), c={1: torch.ones(2)}, d=set())
    torch.save(plain(batch), tmp_path / 'x')
    loaded = torch.load(tmp_path / 'x', weights_only=True)
    assert loaded['b'][0].tolist() == [0, 1, 2]
    assert loaded['c']['1'].tolist() == [1, 1]
