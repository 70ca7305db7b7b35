# Copyright (c) costa_mm authors. All rights reserved.
"""Mixed precision on the CPU."""
import pytest
import torch
from torch import nn

from costa_mm.engine import STVGAmpOptimWrapper

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='what is tested is the CPU')


def wrapper(model, **options):
    return STVGAmpOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0), **options)


def test_step_equals_a_step_by_hand():
    torch.manual_seed(0)
    model, x = nn.Linear(4, 2), torch.rand(3, 4)
    before = model.weight.detach().clone()
    w = wrapper(model)
    with w.optim_context(model):
        out = model(x)
    assert out.dtype == torch.bfloat16
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = model(x).float().sum()
    grad, = torch.autograd.grad(loss, model.weight)
    w.update_params(out.float().sum())
    torch.testing.assert_close(model.weight.detach(), before - grad)


def test_state_dict_round_trip():
    model = nn.Linear(1, 1)
    w = wrapper(model)
    state = w.state_dict()
    assert 'loss_scaler' not in state  # bfloat16 needs none
    # a checkpoint of a float16 run loads too, and is not changed
    state['loss_scaler'] = dict(scale=2.0)
    w.load_state_dict(state)
    assert 'loss_scaler' in state


def test_errors():
    with pytest.raises(ValueError, match='float16 needs CUDA'):
        wrapper(nn.Linear(1, 1), dtype='float16')
    with pytest.raises(ValueError, match='float8'):
        wrapper(nn.Linear(1, 1), dtype='float8')
    with pytest.raises(ValueError, match='loss_scale'):
        wrapper(nn.Linear(1, 1), loss_scale='static')
