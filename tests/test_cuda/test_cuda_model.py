# Copyright (c) costa_mm authors. All rights reserved.
"""What only a GPU can show; tools/gpu_suite.sh runs it.

Without one, most of it runs on the CPU, which it then compares with itself:
the first hour with a card is not lost to mistakes in here.
"""
import copy
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from tiny_model import backbone_cfg, build, grounder_cfg, make_batch, neck_cfg
from torch.testing import assert_close

from costa_mm.engine.averaging import TrainableEMA
from costa_mm.models.heads.targets import collect_targets

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
needs_gpu = pytest.mark.skipif(DEVICE == 'cpu', reason='needs a GPU')


@pytest.fixture(autouse=True)
def float32_means_float32():
    before = (torch.backends.cuda.matmul.allow_tf32,
              torch.backends.cudnn.allow_tf32)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    yield
    (torch.backends.cuda.matmul.allow_tf32,
     torch.backends.cudnn.allow_tf32) = before


def losses_and_gradients(model, device, dtype=None):
    model = copy.deepcopy(model).to(device).train()
    with torch.autocast(device, dtype, enabled=dtype is not None):
        data = model.data_preprocessor(make_batch(), True)
        losses = model(**data, mode='loss')
    sum(losses.values()).backward()
    grads = {n: p.grad.float().cpu() for n, p in model.named_parameters()
             if p.grad is not None}
    return {n: v.float().cpu() for n, v in losses.items()}, grads


def assert_near(grads, want):
    """As near as rounding leaves them, which turns some ReLUs over.

    Some gradients are nothing but rounding, those of a key's bias for one, so
    the greatest of all counts as well.  What a card is to show, a part that
    goes wrong there, is off by as much as there is.
    """
    assert want.keys() == grads.keys()
    sizes = {name: float(grad.norm()) for name, grad in want.items()}
    least = 1e-3 * max(sizes.values())
    for name, grad in want.items():
        error = float((grads[name] - grad).norm())
        assert error <= 0.2 * max(sizes[name], least), name


def frozen_cfg(**kwargs):
    cfg = backbone_cfg(**kwargs)
    for part, kind in (('spatial', 'BN'), ('temporal', 'BN3d')):
        cfg[part] = cfg[part] | dict(
            norm_cfg=dict(type=kind, requires_grad=False), norm_eval=True,
            zero_init_residual=False)
    return cfg


@pytest.mark.parametrize('two_pass', [False, True])
@pytest.mark.parametrize('window', [None, dict(num_frames=2, overlap=1)])
def test_predictions_are_those_of_the_cpu(two_pass, window):
    cfg = dict(two_pass=two_pass, window=window)
    model = build(grounder_cfg(test_cfg=cfg))
    with torch.no_grad():
        want = model.test_step(make_batch())
        got = model.to(DEVICE).test_step(make_batch())
    for a, b in zip(want, got):
        assert a.pred_tube.span == b.pred_tube.span
        np.testing.assert_allclose(a.pred_boxes, b.pred_boxes, rtol=1e-3,
                                   atol=1e-2)
        np.testing.assert_allclose(a.pred_start, b.pred_start, atol=1e-4)


def test_losses_and_gradients_are_those_of_the_cpu():
    model = build(grounder_cfg())
    want, want_grads = losses_and_gradients(model, 'cpu')
    got, grads = losses_and_gradients(model, DEVICE)
    assert want.keys() == got.keys()
    for name, value in want.items():
        assert_close(got[name], value, rtol=1e-3, atol=1e-4)
    assert_near(grads, want_grads)


def test_bfloat16_is_near_float32():
    model = build(grounder_cfg())
    want, _ = losses_and_gradients(model, DEVICE)
    got, grads = losses_and_gradients(model, DEVICE, torch.bfloat16)
    for name, value in want.items():
        assert_close(got[name], value, rtol=0.1, atol=0.05)
    assert all(g.isfinite().all() for g in grads.values())


@pytest.mark.parametrize('wrapper', [
    dict(type='OptimWrapper'),
    dict(type='costa_mm.STVGAmpOptimWrapper', dtype='bfloat16'),
    # with the default scale of 2**16 three updates overflow and are left out
    pytest.param(
        dict(type='costa_mm.STVGAmpOptimWrapper', dtype='float16',
             loss_scale=dict(init_scale=2.**10)), marks=needs_gpu),
], ids=['fp32', 'bf16', 'fp16'])
def test_training_steps_with_average(wrapper):
    model = build(grounder_cfg()).to(DEVICE).train()
    optimizer = dict(type='AdamW', lr=1e-3, fused=True)
    wrapper = build_optim_wrapper(
        model, {**wrapper, 'optimizer': optimizer,
                'clip_grad': dict(max_norm=0.1)})
    average = TrainableEMA(model, momentum=0.5)
    name = 'head.temporal_decoder.query_proj.weight'
    before = model.get_parameter(name).detach().clone()
    for _ in range(3):
        log = model.train_step(make_batch(), wrapper)
        average.update_parameters(model)
        assert log['loss'].isfinite()
    after = model.get_parameter(name).detach()
    assert not torch.equal(after, before)
    averaged = average.module.get_parameter(name)
    assert averaged.isfinite().all() and not torch.equal(averaged, after)


@contextmanager
def waits_are_errors():
    """Whatever the host waits for fails; the CPU waits for nothing."""
    if DEVICE == 'cpu':
        yield
        return
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode('default')


def test_losses_do_not_wait_for_the_device():
    model = build(grounder_cfg()).to(DEVICE).train()
    data = model.data_preprocessor(make_batch(), True)
    memory = model.fuse(**data)
    targets = collect_targets(data['data_samples'], memory.frame_mask)
    outs = model.head(memory, targets)
    with waits_are_errors():
        losses = model.head.loss_by_feat(outs, targets)
        sum(losses.values()).backward()
    assert all(v.isfinite() for v in losses.values())


def test_memory_options_give_equal_gradients():
    plain = build(grounder_cfg(backbone=frozen_cfg()))
    cfg = frozen_cfg(efficient_conv_bn_eval=True, channels_last=True,
                     frame_chunk=2)
    for part in ('spatial', 'temporal'):
        cfg[part]['with_cp'] = True
    lean = build(grounder_cfg(backbone=cfg, neck=neck_cfg(with_cp=True)))
    lean.load_state_dict(plain.state_dict())
    want, want_grads = losses_and_gradients(plain, DEVICE)
    got, grads = losses_and_gradients(lean, DEVICE)
    for name, value in want.items():
        assert_close(got[name], value, rtol=1e-3, atol=1e-4)
    assert_near(grads, want_grads)


@needs_gpu
def test_checkpointing_needs_less_memory():
    """What a forward pass leaves for the backward pass.

    Not the peak, which workspaces of cuBLAS and cuDNN are a part of.
    """
    held = []
    for with_cp in (False, True):
        cfg = frozen_cfg()
        for part in ('spatial', 'temporal'):
            cfg[part]['with_cp'] = with_cp
        model = build(grounder_cfg(backbone=cfg)).to(DEVICE).train()
        frames = torch.randn(1, 3, 16, 256, 256, device=DEVICE)
        model.backbone(frames)[-1].sum().backward()  # workspaces that stay
        before = torch.cuda.memory_allocated()
        loss = model.backbone(frames)[-1].sum()
        held.append(torch.cuda.memory_allocated() - before)
        del model, frames, loss
    assert held[1] < 0.8 * held[0]
