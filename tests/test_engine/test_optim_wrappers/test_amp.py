# Copyright (c) costa_mm authors. All rights reserved.
"""Mixed precision on the GPU, where there is one, or on the CPU."""
import pytest
import torch
from torch import nn

from costa_mm.engine import STVGAmpOptimWrapper

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def wrapper(model, **options):
    return STVGAmpOptimWrapper(
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0), **options)


def test_step_equals_a_step_by_hand():
    torch.manual_seed(0)
    model, x = nn.Linear(4, 2).to(DEVICE), torch.rand(3, 4, device=DEVICE)
    before = model.weight.detach().clone()
    w = wrapper(model, dtype='bfloat16')
    with w.optim_context(model):
        out = model(x)
    assert out.dtype == torch.bfloat16
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        loss = model(x).float().sum()
    grad, = torch.autograd.grad(loss, model.weight)
    w.update_params(out.float().sum())
    torch.testing.assert_close(model.weight.detach(), before - grad)


def test_state_dict_round_trip():
    model = nn.Linear(1, 1)
    w = wrapper(model, dtype='bfloat16')
    state = w.state_dict()
    assert 'loss_scaler' not in state  # bfloat16 needs none
    # a checkpoint of a float16 run loads too, and is not changed
    state['loss_scaler'] = dict(scale=2.0)
    w.load_state_dict(state)
    assert 'loss_scaler' in state


@pytest.mark.skipif(DEVICE == 'cpu', reason='needs a GPU')
def test_float16_leaves_out_what_overflows():
    model = nn.Linear(1, 1, bias=False).to(DEVICE)
    nn.init.ones_(model.weight)
    w = wrapper(model, dtype='float16', loss_scale=dict(init_scale=4.))
    for slope, scale, weight in ((float('inf'), 2., 1.), (.25, 2., .75)):
        w.update_params(slope * model.weight.sum())
        assert w.loss_scaler.get_scale() == scale
        assert model.weight.item() == weight
    again = wrapper(model, dtype='float16')
    again.load_state_dict(w.state_dict())
    assert again.loss_scaler.get_scale() == 2.


@pytest.mark.skipif(DEVICE == 'cuda', reason='there is CUDA')
def test_float16_needs_cuda():
    with pytest.raises(ValueError, match='float16 needs CUDA'):
        wrapper(nn.Linear(1, 1), dtype='float16')


def test_errors():
    with pytest.raises(ValueError, match='float8'):
        wrapper(nn.Linear(1, 1), dtype='float8')
    with pytest.raises(ValueError, match='loss_scale'):
        wrapper(nn.Linear(1, 1), loss_scale='static')
