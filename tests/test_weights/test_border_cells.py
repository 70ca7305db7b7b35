# Copyright (c) costa_mm authors. All rights reserved.
"""Published sizes are computed without padding, up to the border."""
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import DefaultScope

import costa_mm.models  # noqa: F401  registers the models
from costa_mm.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
SIZE = (203, 360)  # 16:9 at a long side of 360, no multiple of 32


def build(name, **narrow):
    """Backbone and preprocessor of a config."""
    model = Config.fromfile(CONFIGS / f'{name}.py').model
    for part in ('spatial', 'temporal'):
        if narrow and model.backbone.get(part):
            model.backbone[part].update(narrow)
    with DefaultScope.overwrite_default_scope('costa_mm'):
        return (MODELS.build(model.backbone).eval(),
                MODELS.build(model.data_preprocessor))


def encode(backbone, preprocessor, video):
    with torch.no_grad():
        batch = preprocessor.stack([video])
        return backbone(batch.frames.transpose(1, 2), batch.durations)[-1]


def video_and_frames(preprocessor):
    torch.manual_seed(0)
    video = torch.randint(256, (1, 3, *SIZE), dtype=torch.uint8)
    return video, (video.float() - preprocessor.mean) / preprocessor.std


def check_padding_would_show(backbone, frames, ours):
    """What padding to multiples of 32 makes of the border."""
    width = (0, 384 - SIZE[1], 0, 224 - SIZE[0])
    with torch.no_grad():
        padded = backbone(F.pad(frames, width).transpose(0, 1)[None])[-1]
    assert padded.shape == ours.shape
    off = (padded - ours).norm(dim=1)[0, 0] / ours.norm(dim=1)[0, 0]
    assert off[-1].mean() > 0.05 and off[:, -1].mean() > 0.05
    assert off[:3, :6].max() < off[-1].mean()


def test_a_backbone_of_published_size():
    backbone, preprocessor = build('baselines/stcat_vidstg')
    video, frames = video_and_frames(preprocessor)
    ours = encode(backbone, preprocessor, video)
    assert ours.shape == (1, 2048, 1, 7, 12)  # 203 / 32, 360 / 32, up
    with torch.no_grad():
        plain = backbone.spatial(frames)[-1]  # mmdet's own, no costa_mm
    torch.testing.assert_close(ours[:, :, 0], plain, rtol=1e-4, atol=1e-5)
    check_padding_would_show(backbone, frames, ours)


@pytest.mark.parametrize(
    'name', ['costa_hcstvg', 'baselines/tubedetr_hcstvg'])
def test_the_other_methods(name):
    backbone, preprocessor = build(name, base_channels=8, stem_channels=8) \
        if 'tube' in name else build(name, base_channels=8)
    video, frames = video_and_frames(preprocessor)
    ours = encode(backbone, preprocessor, video)
    with torch.no_grad():
        plain = backbone(frames.transpose(0, 1)[None])[-1]
    assert torch.equal(ours, plain)
    check_padding_would_show(backbone, frames, ours)
