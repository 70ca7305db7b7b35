# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from costa_mm.models.backbones.norm_folding import fold


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('affine', [True, False])
def test_one_convolution_does_the_work_of_two_layers(bias, affine):
    torch.manual_seed(0)
    conv = nn.Conv3d(3, 4, 3, bias=bias)
    norm = nn.BatchNorm3d(4, eps=1e-3, affine=affine).eval()
    norm.running_mean.normal_()
    # as small as eps: dead channels of published checkpoints are smaller yet
    norm.running_var.copy_(torch.tensor([1e-4, 1e-3, 1., 4.]))
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x = torch.randn(1, 3, 4, 5, 5)
    out = nn.functional.conv3d(x, *fold(conv, norm))
    assert_close(out, norm(conv(x)), atol=1e-4, rtol=1e-4)
