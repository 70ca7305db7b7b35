# Copyright (c) costa_mm authors. All rights reserved.
import torch
from torch.testing import assert_close

from costa_mm.models.layers import DropoutMLP


def test_in_training_every_layer_is_dropped_the_logits_too():
    torch.manual_seed(0)
    mlp = DropoutMLP(4, 64, 50, 2, dropout=0.5)
    x = torch.randn(20, 4)
    first, second = mlp.layers
    assert_close(mlp.eval()(x), second(first(x).relu()))
    seen = []
    second.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    share = (mlp.train()(x) == 0).float().mean().item()
    assert 0.4 < share < 0.6
    alive = first(x) > 0
    dropped = (seen[0][alive] == 0).float().mean().item()
    assert 0.4 < dropped < 0.6
