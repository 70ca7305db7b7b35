# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
from mmdet.models.backbones import ResNet
from mmengine.model import convert_sync_batchnorm
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from costa_mm.models.backbones.norm_folding import fold, fold_norms


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


def test_a_norm_that_was_replaced_is_not_folded(monkeypatch):
    def forward(self, x):  # that of a GPU, in evaluation mode
        return F.batch_norm(x, self.running_mean, self.running_var,
                            self.weight, self.bias, False, 0., self.eps)

    monkeypatch.setattr(nn.SyncBatchNorm, 'forward', forward)
    torch.manual_seed(0)
    model = ResNet(18, base_channels=4, stem_channels=4, norm_eval=True)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=.3)
            nn.init.uniform_(module.running_var, .5, 2.)
    model.train()
    x = torch.randn(1, 3, 32, 32)
    expected = model(x)
    fold_norms(model)
    synced = convert_sync_batchnorm(model, 'torch')
    assert any(isinstance(m, nn.SyncBatchNorm) for m in synced.modules())
    for out, want in zip(synced(x), expected):
        assert_close(out, want, atol=1e-5, rtol=1e-5)
