# Copyright (c) costa_mm authors. All rights reserved.
"""Appearance beside motion; a Video Swin that keeps time."""
import re

import pytest
import torch
from tiny_model import BASE, swin_cfg, two_stream_cfg
from torch import nn

from costa_mm.models import MotionSwin
from costa_mm.registry import MODELS


def build(cfg):
    model = MODELS.build(cfg)
    model.eval()
    return model


def test_swin_equals_the_published_one(golden):
    data = golden('vidswin_tiny')
    swin = MotionSwin(
        arch=dict(
            embed_dims=int(data['embed_dim']),
            depths=data['depths'].tolist(),
            num_heads=data['num_heads'].tolist()))
    state = {
        re.sub(r'^downsamples\.(\d)', r'layers.\1.downsample', k[2:]): v
        for k, v in data.items() if k.startswith('w.')
    }
    report = swin.load_state_dict(state, strict=False)
    assert not report.unexpected_keys
    assert all('relative_position_index' in k for k in report.missing_keys)
    swin.eval()
    frames = data['frames'].transpose(0, 1)[None]
    torch.testing.assert_close(
        swin(frames)[0].transpose(0, 1),
        data['stage3'],
        atol=5e-5,
        rtol=1e-4)


def test_a_video_keeps_its_own_length():
    """The padding of whole windows is not masked, so this is no matter of
    course: appended frames would change it."""
    torch.manual_seed(0)
    swin = build(swin_cfg())
    videos = torch.randn(2, 3, 5, 64, 32)
    out = swin(videos, (5, 3))
    assert out.shape == (2, 64, 5, 2, 1)
    torch.testing.assert_close(out[0], swin(videos[:1])[0])
    torch.testing.assert_close(out[1, :, :3], swin(videos[1:, :, :3])[0])
    assert (out[1, :, 3:] == 0).all()
    assert not torch.allclose(out[1, :, :3], swin(videos[1:])[0, :, :3])


def test_windows_in_chunks_are_mmaction2s(monkeypatch):
    """Values and gradients, with shifted windows and two videos."""
    from mmaction.models.backbones.swin import WindowAttention3D

    from costa_mm.models.backbones import window_attention
    monkeypatch.setattr(window_attention, 'CHUNK', 3)
    torch.manual_seed(0)
    swin = build(swin_cfg(
        arch=dict(embed_dims=8, depths=[2, 2], num_heads=[2, 4]),
        out_indices=(1, ), frozen=False))
    video = torch.randn(2, 3, 3, 20, 24)
    found = []
    for kind in (window_attention.ChunkedWindowAttention, WindowAttention3D):
        for module in swin.modules():
            if isinstance(module, WindowAttention3D):
                module.__class__ = kind
        swin.zero_grad()
        out = swin(video)
        out.square().sum().backward()
        found.append([out.detach()] + [p.grad.clone()
                                       for p in swin.parameters()])
    for ours, theirs in zip(*found):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize('frozen, drop, trained, moves', [
    (True, False, False, False),
    (True, True, False, True),
    (False, False, True, True),
])
def test_frozen_is_frozen(frozen, drop, trained, moves):
    """Neither gradients nor dropped paths; as published they are dropped."""
    torch.manual_seed(0)
    swin = MODELS.build(
        swin_cfg(
            frozen=frozen, drop_path_when_frozen=drop, drop_path_rate=0.9))
    assert swin.train() is swin
    video = torch.randn(1, 3, 3, 64, 64)
    first, second = swin(video), swin(video)
    assert first.requires_grad == trained
    assert all(p.requires_grad == trained for p in swin.parameters())
    assert (not torch.equal(first, second)) == moves


def test_frozen_inside_a_model():
    model = MODELS.build(two_stream_cfg())
    assert model.train().training
    assert not any(m.training for m in model.motion.modules())
    assert any(p.requires_grad for p in model.spatial.parameters())


def test_deep_patches_are_refused():
    with pytest.raises(ValueError, match='one frame deep'):
        MotionSwin(patch_size=(2, 4, 4))


def test_both_maps_leave():
    torch.manual_seed(0)
    model = build(two_stream_cfg())
    video = torch.randn(2, 3, 3, 70, 33)
    maps = model(video, (3, 2))
    assert maps['features'].shape == (2, 8 * BASE, 3, 3, 2)
    assert maps['motion'].shape == (2, 64, 3, 3, 2)
    for x in maps.values():
        assert (x[1, :, 2] == 0).all() and (x[1, :, 1] != 0).any()


def test_maps_on_different_grids_are_refused():

    class Half(nn.Module):

        def forward(self, x, durations=None):
            return x[..., ::64, ::64]

    model = build(two_stream_cfg(motion=Half()))
    with pytest.raises(ValueError, match='appearance and motion differ'):
        model(torch.randn(1, 3, 2, 128, 128))
