# Copyright (c) costa_mm authors. All rights reserved.
"""The inferencer over the real grounder, untrained and tiny."""
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from costa_mm.apis import STVGInferencer
from costa_mm.registry import MODELS

CHANNELS = 16


def make_config(two_pass, **test_cfg):
    layer = dict(embed_dims=CHANNELS, num_heads=2, feedforward_channels=32)
    return Config(
        dict(
            model=dict(
                type='SpatioTemporalGrounder',
                backbone=dict(
                    type='CollaborativeResNet',
                    spatial=dict(
                        type='mmdet.ResNet', depth=18, base_channels=4,
                        norm_cfg=dict(type='GN', num_groups=2),
                        norm_eval=False, frozen_stages=-1)),
                text_encoder=dict(
                    type='HFTextEncoder', pretrained=False,
                    out_channels=CHANNELS,
                    config=dict(
                        model_type='bert', vocab_size=99, hidden_size=16,
                        num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=32)),
                neck=dict(type='SpaceTimeFusionNeck', in_channels=32,
                          num_layers=1, **layer),
                head=dict(type='EntangledTubeHead', num_temporal_layers=1,
                          num_spatial_layers=1, **layer),
                test_cfg=dict(two_pass=two_pass, **test_cfg)),
            test_dataloader=dict(
                dataset=dict(pipeline=[
                    dict(type='SampleFrames', mode='uniform', num_frames=8),
                    dict(type='LoadVideoFrames'),
                    dict(type='ResizeClip', scale=(64, 64)),
                    dict(type='LoadTubeAnnotations'),
                    dict(type='PackSTVGInputs')
                ]))))


def make_inferencer(cfg, tmp_path):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('costa_mm'):
        model = MODELS.build(cfg.model)
    path = tmp_path / 'tiny.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return STVGInferencer(cfg, path, 'cpu', show_progress=False)


@pytest.fixture(params=[False, True], ids=['one_pass', 'two_pass'])
def inferencer(request, tmp_path):
    return make_inferencer(make_config(request.param), tmp_path)


def test_results_are_complete(inferencer, video, frames):
    sentences = ['the red square moves', 'a green thing']
    results = inferencer(video, sentences)['predictions']
    for result in results:
        start, end = result.span
        assert 0 <= start < end <= 30
        assert result.boxes.shape == (30, 4)
        assert (result.boxes >= 0).all()
        assert (result.boxes <= [96, 64, 96, 64]).all()
        assert 0 < result.confidence <= 1
        assert 0 <= result.attendance_score <= 1
        assert np.isclose(result.start.sum(), 1, atol=1e-4)
        assert len(result.frame_ids) == len(result.attendance) == 8
        assert tuple(result.spans[0][:2]) == result.span
    assert (results[0].boxes != results[1].boxes).any()


def test_a_batch_gives_what_single_sentences_give(inferencer, frames):
    # a single frame has no second pass; its batch mates keep theirs
    inputs = [frames, frames[:1], frames[:20]]
    sentences = ['the red square', 'green']
    single, batched = (
        inferencer(inputs, sentences, batch_size=n)['predictions']
        for n in (1, 6))
    assert len(single) == len(batched) == 6
    assert [len(r.frame_ids) for r in batched] == [8, 8, 1, 1, 8, 8]
    for one, other in zip(single, batched):
        assert one.sample_id == other.sample_id
        assert one.span == other.span
        assert np.abs(one.boxes - other.boxes).max() < 1e-2
        assert abs(one.confidence - other.confidence) < 1e-4


def test_pictures_of_an_untrained_model(inferencer, frames, tmp_path):
    out = inferencer(frames, 'the red square', out_dir=tmp_path / 'o')
    assert len(out['files']) == 4


def test_attention_maps(inferencer, frames, tmp_path):
    sentences = ['the red square', 'a green thing that moves']
    single, batched = (
        inferencer([frames, frames[:20]], sentences, attention=True,
                   batch_size=n)['predictions'] for n in (1, 4))
    for one, other in zip(single, batched):
        assert one.attention.shape == (8, 2, 2)
        assert (one.attention > 0).all()
        assert (one.attention.sum((1, 2)) < 1).all()  # words get the rest
        assert np.abs(one.attention - other.attention).max() < 1e-4
    assert np.abs(single[0].attention - single[1].attention).max() > 1e-4


def test_long_videos_are_grounded_in_windows(frames, tmp_path):
    window = dict(num_frames=8, overlap=4, fps=10.)
    cfg = make_config(False, window=window)
    inferencer = make_inferencer(cfg, tmp_path)
    batches = []
    inferencer.model.backbone.register_forward_hook(
        lambda module, args, out: batches.append(args[0].shape[0]))
    sentences = ['the red square moves', 'a green thing']
    inputs = [frames[:8], frames, frames[:8]]
    results = inferencer(inputs, sentences, fps=10,
                         batch_size=6)['predictions']
    counts = [len(r.frame_ids) for r in results]
    assert counts[2] == counts[3] > 8
    assert counts[:2] == counts[4:] == [8, 8]
    assert [r.sample_id[:8] for r in results] == [
        f'frames_{i}' for i in (0, 0, 1, 1, 2, 2)]
    assert results[2].boxes.shape == (30, 4)
    # short videos once each, and every window once for both sentences
    assert len(batches) == 2 + len(range(0, counts[2] - 4, 4))
    assert np.abs(results[0].boxes - results[4].boxes).max() < 1e-6
    with pytest.raises(ValueError, match='frames_1 is grounded in'):
        inferencer(inputs, sentences, fps=10, attention=True)
