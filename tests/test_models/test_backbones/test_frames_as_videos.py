# Copyright (c) costa_mm authors. All rights reserved.
"""Working on videos, the encoder gives the same maps."""
import pytest
import torch
from mmengine.registry import init_default_scope
from tiny_model import backbone_cfg
from torch import nn

from costa_mm.models.backbones import work_on_videos
from costa_mm.registry import MODELS


def build(**changes):
    init_default_scope('costa_mm')
    torch.manual_seed(0)
    backbone = MODELS.build({**backbone_cfg(), **changes}).eval()
    for layer in backbone.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(layer.running_mean, std=0.3)
            nn.init.uniform_(layer.running_var, 0.5, 2.)
        if getattr(layer, 'bias', None) is not None:
            nn.init.normal_(layer.bias, std=0.3)
        if isinstance(layer, (nn.GroupNorm, nn.LayerNorm)):
            nn.init.uniform_(layer.weight, 0.5, 2.)
    return backbone


def norms(two, three):
    cfg = backbone_cfg()
    return dict(spatial=cfg['spatial'] | dict(norm_cfg=two, norm_eval=True),
                temporal=cfg['temporal'] | dict(norm_cfg=three))


BATCH_NORMS = norms(dict(type='BN'), dict(type='BN3d'))
GROUP_NORMS = norms(*[dict(type='GN', num_groups=4)] * 2)


@pytest.mark.parametrize('changes', [
    BATCH_NORMS,
    dict(BATCH_NORMS, efficient_conv_bn_eval=True, channels_last=True),
    dict(BATCH_NORMS, frame_chunk=2, out_indices=(0, 3)),
    GROUP_NORMS,
    dict(GROUP_NORMS, connection=dict(type='HadamardConnection')),
    dict(BATCH_NORMS, connection=dict(type='ConcatConnection')),
    dict(BATCH_NORMS, temporal=None),
    dict(BATCH_NORMS, spatial=None),
])
@torch.no_grad()
def test_maps_are_the_same(changes):
    backbone = build(**changes)
    names = list(backbone.state_dict())
    video = torch.randn(2, 3, 5, 64, 96)
    wanted = backbone(video, (5, 3))
    lifted = work_on_videos(backbone)
    for one, other in zip(lifted(video, (5, 3)), wanted):
        torch.testing.assert_close(one, other, rtol=1e-4,
                                   atol=1e-5 * float(other.abs().max()))
    assert list(lifted.state_dict()) == names
    assert all(torch.equal(a, b) for a, b in zip(
        wanted, backbone(video, (5, 3))))  # itself, it stays


def test_what_cannot_be_lifted_is_told():
    backbone = build(**BATCH_NORMS)
    backbone.spatial.conv1.padding_mode = 'reflect'
    with pytest.raises(ValueError, match='Conv2d .conv1.'):
        work_on_videos(backbone)
    backbone = build(**BATCH_NORMS)
    backbone.spatial.maxpool = nn.AvgPool2d(2)
    with pytest.raises(ValueError, match='AvgPool2d .maxpool.'):
        work_on_videos(backbone)
    with pytest.raises(ValueError, match='Linear has no 2D pathway'):
        work_on_videos(nn.Linear(2, 2))
