# Copyright (c) costa_mm authors. All rights reserved.
"""Averaged weights share what is frozen."""
import pytest
import torch
from engine_toy import ToyModel
from mmengine.model import ExponentialMovingAverage

from costa_mm.engine import TrainableEMA


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ToyModel()


def change(model):
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.rand_like(p))
        model.norm.running_mean.add_(1)


def test_equals_mmengine_and_shares_the_frozen_part(model):
    ours = TrainableEMA(model, momentum=0.1)
    theirs = ExponentialMovingAverage(model, momentum=0.1)
    assert ours.module.frozen.weight is model.frozen.weight
    assert ours.module.conv.weight is not model.conv.weight
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for _ in range(4):
        change(model)
        ours.update_parameters(model)
        theirs.update_parameters(model)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    # hand-computed: buffers follow, they are not averaged
    assert torch.equal(ours.module.norm.running_mean, torch.full((4, ), 4.))


def test_first_update_copies_and_second_averages():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 1.0)
    average = TrainableEMA(model, momentum=0.25)
    torch.nn.init.constant_(model.weight, 2.0)
    average.update_parameters(model)
    assert average.module.weight.item() == 2.0
    torch.nn.init.constant_(model.weight, 6.0)
    average.update_parameters(model)
    assert average.module.weight.item() == 3.0  # 2 + (6 - 2) / 4


def test_model_keeps_its_gradients(model):
    TrainableEMA(model)
    assert model.conv.weight.requires_grad
    assert not model.frozen.weight.requires_grad


def test_thawed_weight_is_an_error(model):
    average = TrainableEMA(model)
    model.frozen.requires_grad_(True)
    with pytest.raises(RuntimeError, match='frozen.weight'):
        average.update_parameters(model)
