# Copyright (c) costa_mm authors. All rights reserved.
"""A backbone that learns from every k-th frame."""
import pytest
import torch

from costa_mm.models import CollaborativeResNet, StridedGradResNet

SPATIAL = dict(
    type='mmdet.ResNet',
    depth=18,
    base_channels=4,
    norm_cfg=dict(type='GN', num_groups=2, requires_grad=True),
    norm_eval=False)


def make(stride):
    torch.manual_seed(0)
    return StridedGradResNet(spatial=SPATIAL, grad_stride=stride)


@pytest.mark.parametrize('stride', [1, 2, 4, 9])
def test_output_is_the_parents(stride):
    torch.manual_seed(0)
    parent = CollaborativeResNet(spatial=SPATIAL)
    backbone = make(stride)
    x = torch.randn(2, 3, 7, 32, 32)
    ours, = backbone(x, durations=(7, 5))
    theirs, = parent(x, durations=(7, 5))
    torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        torch.testing.assert_close(backbone(x, (7, 5))[0], theirs)


def test_gradients_come_from_every_kth_frame():
    backbone = make(4)
    x = torch.randn(1, 3, 6, 32, 32, requires_grad=True)
    out, = backbone(x)
    out.pow(2).sum().backward()
    norms = x.grad.flatten(3).norm(dim=3).sum((0, 1))
    assert (norms > 0).tolist() == [True, False, False, False, True, False]
    # and equal those of a video that has only these frames
    strided = {n: p.grad for n, p in backbone.named_parameters()}
    alone = make(1)
    alone(x[:, :, ::4].detach())[0].pow(2).sum().backward()
    for name, param in alone.named_parameters():
        torch.testing.assert_close(strided[name], param.grad)


def test_every_frame_passes_once():
    backbone = make(3)
    seen = []
    backbone.spatial.register_forward_hook(
        lambda module, args, out: seen.append(len(args[0])))
    backbone(torch.randn(1, 3, 7, 32, 32))
    assert seen == [3, 4]


def test_a_3d_pathway_is_refused():
    temporal = dict(
        type='mmaction.ResNet3d',
        depth=18,
        stage_blocks=(1, 1, 1, 1),
        base_channels=4,
        conv1_kernel=(3, 7, 7),
        with_pool2=False,
        norm_cfg=dict(type='GN', num_groups=2),
        zero_init_residual=False)
    with pytest.raises(ValueError, match='3D'):
        StridedGradResNet(spatial=SPATIAL, temporal=temporal)


def test_stride_must_be_positive():
    with pytest.raises(ValueError, match='grad_stride'):
        make(0)
