# Copyright (c) costa_mm authors. All rights reserved.
"""Devices and dtypes of every shipped model, and what its steps wait for."""
import gc
import json
from unittest import mock

import pytest
import torch
from fake_cuda import DEVICE, HostWaits, fake_cuda, move
from mmengine.registry import DefaultScope
from paper_training import paper_training
from test_configs import TRAINED, read, shrink
from tiny_model import make_batch
from torch._subclasses.fake_tensor import unset_fake_temporarily

import costa_mm.models  # noqa: F401
from costa_mm.engine import ResumableEpochTrainLoop
from costa_mm.registry import MODELS


def without_numbers(value):
    if isinstance(value, dict):
        return {k: without_numbers(v) for k, v in value.items()}
    return None if isinstance(value, (int, float)) \
        and not isinstance(value, bool) else value


def different_models():
    """One config of those whose reduced models differ in numbers only."""
    found = {}
    for name in TRAINED:
        kinds = shrink(read(name).model)
        kinds.pop('test_cfg', None)
        key = json.dumps(without_numbers(kinds), sort_keys=True)
        found.setdefault(key, name)
    return sorted(found.values())


MIXED = ['costa_hcstvg.py', 'synthetic/costa_tiny_synthetic.py',
         'baselines/stcat_hcstvg.py', 'baselines/tubedetr_hcstvg.py']


@pytest.fixture(autouse=True)
def scope():
    before = dict(DefaultScope._instance_dict)
    DefaultScope._instance_dict.clear()
    DefaultScope.get_instance('test_fake_cuda', scope_name='costa_mm')
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def make(name):
    """The reduced model of a config, in training."""
    return MODELS.build(shrink(read(name).model)).train()


def check_step(name, dtype=None):
    batch = make_batch()
    model = make(name)
    with fake_cuda(dtype):
        move(model)
        model.data_preprocessor._device = DEVICE
        with HostWaits() as waits:
            data = model.data_preprocessor(batch, True)
            losses = model(**data, mode='loss')
            total, log = model.parse_losses(losses)
        assert not waits.count()
        for name, value in log.items():
            assert value.device == DEVICE, name
            assert value.dtype == torch.float32, name
        assert total.requires_grad
        check_outputs(model, batch)


@torch.no_grad()
def check_outputs(model, batch):
    """Up to where numbers come to the host."""
    model.eval()
    with HostWaits() as waits:
        data = model.data_preprocessor(batch, False)
        outs = model(**data, mode='tensor')
    assert not waits.count()
    assert outs.boxes.dtype == torch.float32
    for x in (outs.boxes, outs.span_logits, outs.frame_mask):
        assert x.device == DEVICE


@pytest.mark.parametrize('name', different_models())
def test_float32_step_waits_for_nothing(name):
    check_step(name)


@pytest.mark.parametrize('name', different_models())
def test_weights_begin_where_they_lie(name):
    # a Runner initialises a model that is on its device already
    model = make(name)
    places = {n: p.data_ptr() for n, p in model.named_parameters()}
    model.init_weights()
    moved = [n for n, p in model.named_parameters()
             if places.get(n) != p.data_ptr()]
    assert not moved


@pytest.mark.parametrize('name', MIXED)
def test_mixed_precision_step_waits_for_nothing(name):
    check_step(name, torch.bfloat16)


@pytest.mark.parametrize('wait', [
    lambda x: x.sum().item(), lambda x: bool((x > 0).any()),
    lambda x: x[x > 0], lambda x: x[[0, 1]], lambda x: x.cpu(),
    lambda x: torch.zeros(2).to(x.device), lambda x: x.nonzero(),
    lambda x: x.copy_(torch.zeros(2)), lambda x: x.new_tensor([1., 2.]),
    lambda x: x.to('cpu', non_blocking=True),
])
def test_what_waits_is_seen(wait):
    with fake_cuda():
        x = torch.zeros(2, device=DEVICE)
        with HostWaits() as waits:
            try:
                wait(x)
            except torch._subclasses.fake_tensor.DynamicOutputShapeException:
                pass  # how many there are, no fake tensor knows
    assert len(waits.found) == 1, waits.found


def test_what_does_not_wait_is_not_seen():
    with fake_cuda():
        x = torch.zeros(2, device=DEVICE)
        with HostWaits() as waits:
            x[0], x[1:], x + 1., x.to(torch.float16), torch.zeros(2).sum()
            torch.zeros(2).to(x.device, non_blocking=True)
            torch.arange(3, device=x.device)
    assert not waits.found


def test_a_wrong_device_is_an_error():
    with fake_cuda(), pytest.raises(RuntimeError, match='device'):
        torch.zeros(2, device=DEVICE) + torch.zeros(2)


def gradients_without_backward(self, loss, **kwargs):
    """The backward pass is out of reach: gradients are there all at once."""
    assert loss.device == DEVICE and loss.requires_grad
    self._inner_count += 1
    for group in self.optimizer.param_groups:
        for p in group['params']:
            p.grad = torch.empty_like(p)


def test_an_iteration_waits_for_the_norm_and_for_logged_losses(tmp_path):
    """Data, model, optimizer and all hooks; six iterations, two lines."""
    runner = paper_training(tmp_path)
    runner._init_model_weights = lambda: None  # looks at numbers
    waits, one = [], ResumableEpochTrainLoop.run_iter
    with fake_cuda() as mode:

        def run_iter(self, *args):
            with mode, HostWaits() as found:
                one(self, *args)
            waits.append(found.count())

        move(runner.model)
        runner.model.data_preprocessor._device = DEVICE
        runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
        runner.optim_wrapper.device_type = 'cuda'
        with mock.patch.object(ResumableEpochTrainLoop, 'run_iter', run_iter),\
                mock.patch.object(type(runner.optim_wrapper), 'backward',
                                  gradients_without_backward), \
                unset_fake_temporarily():
            runner.train()
        del runner
        gc.collect()  # tensors without numbers must not outlive their mode
    norm, = waits[1]
    _, losses = waits[2]
    assert norm[1].startswith('nonfinite_hook.py: ')
    assert losses[1].startswith('runtime_info_hook.py: ')
    # the first iteration makes the histories
    assert waits[0].pop(norm) == 1 and len(waits[0]) == 1
    assert [dict(w) for w in waits[1:]] == [
        {norm: 1}, {norm: 1, losses: 1}] + 2 * [{norm: 1}] + [
            {norm: 1, losses: 1}]
