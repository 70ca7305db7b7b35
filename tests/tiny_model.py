# Copyright (c) costa_mm authors. All rights reserved.
"""A CoSTA small enough for tests, its batches, and helpers to compare."""
import copy
from typing import List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import nn

import costa_mm.models  # noqa: F401  registers the models
from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, Tube, TubeDataSample

C = 16
BASE = 4  # channels of the first stage; the last has 8 times as many
GN = dict(type='GN', num_groups=2)


def spatial_cfg() -> dict:
    """2D pathway."""
    return dict(
        type='mmdet.ResNet',
        depth=18,
        base_channels=BASE,
        stem_channels=BASE,
        norm_cfg=GN,
        norm_eval=False)


def temporal_cfg() -> dict:
    """3D pathway."""
    return dict(
        type='mmaction.ResNet3d',
        depth=18,
        stage_blocks=(1, 1, 1, 1),
        base_channels=BASE,
        conv1_kernel=(3, 7, 7),
        conv1_stride_t=1,
        pool1_stride_t=1,
        with_pool2=False,
        inflate=(1, 1, 1, 1),
        norm_cfg=GN,
        norm_eval=False,
        zero_init_residual=False)


def backbone_cfg(**kwargs) -> dict:
    """Both pathways."""
    return dict(
        type='costa_mm.CollaborativeResNet',
        spatial=spatial_cfg(),
        temporal=temporal_cfg()) | kwargs


def swin_cfg(**kwargs) -> dict:
    """A Video Swin, 64 channels at the end."""
    return dict(
        type='costa_mm.MotionSwin',
        arch=dict(
            embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1]),
        window_size=(2, 2, 2)) | kwargs


def two_stream_cfg(**kwargs) -> dict:
    """2D pathway and Video Swin."""
    return dict(
        type='costa_mm.TwoStreamResNet',
        spatial=spatial_cfg(),
        motion=swin_cfg()) | kwargs


def text_cfg(**kwargs) -> dict:
    """A BERT with two layers, made from its config alone."""
    return dict(
        type='costa_mm.HFTextEncoder',
        pretrained=False,
        config=dict(
            model_type='bert',
            vocab_size=200,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            hidden_dropout_prob=0.,
            attention_probs_dropout_prob=0.),
        max_length=32,
        out_channels=C,
        dropout=0.) | kwargs


def neck_cfg(**kwargs) -> dict:
    """Two rounds."""
    return dict(
        type='costa_mm.SpaceTimeFusionNeck',
        in_channels=8 * BASE,
        embed_dims=C,
        num_layers=2,
        num_heads=2,
        feedforward_channels=32,
        dropout=0.) | kwargs


def head_cfg(**kwargs) -> dict:
    """Two and two layers."""
    return dict(
        type='costa_mm.EntangledTubeHead',
        embed_dims=C,
        num_temporal_layers=2,
        num_spatial_layers=2,
        num_heads=2,
        feedforward_channels=32,
        dropout=0.) | kwargs


def grounder_cfg(**kwargs) -> dict:
    """The whole model."""
    return dict(
        type='costa_mm.SpatioTemporalGrounder',
        data_preprocessor=dict(
            type='costa_mm.STVGDataPreprocessor', pad_size_divisor=32),
        backbone=backbone_cfg(),
        text_encoder=text_cfg(),
        neck=neck_cfg(),
        head=head_cfg()) | kwargs


def build(cfg: dict, seed: int = 0) -> nn.Module:
    """Build with reproducible random weights, none of them zero."""
    torch.manual_seed(seed)
    model = MODELS.build(copy.deepcopy(cfg))
    # zero-initialised biases and embeddings would hide mistakes
    for param in model.parameters():
        if param.dim() < 2 and param.requires_grad:
            nn.init.normal_(param, 0.5 * float(param.mean() > 0.5), 0.1)
    return model.eval()


def make_sample(index: int,
                duration: int,
                size: Tuple[int, int],
                span: Optional[Tuple[int, int]],
                sentence: str) -> TubeDataSample:
    """A sample whose every second source frame is sampled.

    ``span`` is (first, last) sampled index, inclusive; None has no true frame
    in the clip.
    """
    height, width = size
    sample = TubeDataSample(
        metainfo=dict(
            sample_id=f's{index}',
            video_path=f'{index}.mp4',
            video_id=str(index),
            num_frames=2 * duration,
            fps=4.,
            ori_shape=(2 * height, 2 * width),
            img_shape=size,
            frame_ids=2 * np.arange(duration),
            sentence=sentence,
            qtype='declarative',
            draw=0.25))
    sample.gt_boxes = torch.zeros(duration, 4)
    sample.gt_box_mask = torch.zeros(duration, dtype=torch.bool)
    if span is not None:
        inside = slice(span[0], span[1] + 1)
        shift = torch.arange(span[1] - span[0] + 1)[:, None]
        sample.gt_boxes[inside] = torch.tensor([[4., 6., 20., 25.]]) + shift
        sample.gt_box_mask[inside] = True
        sample.gt_span = torch.tensor(span)
        sample.gt_tube = Tube(
            span=(2 * span[0], 2 * span[1] + 1),
            frame_ids=2 * np.arange(span[0], span[1] + 1),
            boxes=2 * sample.gt_boxes[inside].numpy())
    sample.video_inputs = make_proposals(sample, 2 + index)
    return sample


def make_proposals(sample: TubeDataSample, num: int) -> dict:
    """``num`` tubes of which the second lies near the truth, with a gap in the
    first frame; most methods do not look at them."""
    length = len(sample.gt_boxes)
    tubes = torch.tensor([[2., 3., 12., 19.]]).repeat(length, num, 1)
    tubes += torch.arange(num)[:, None]
    tubes[:, 1] = torch.where(sample.gt_box_mask[:, None],
                              sample.gt_boxes + 1, tubes[:, 1])
    scores = torch.ones(length, num)
    scores[0, 1] = 0.
    return dict(tubes=tubes, tube_scores=scores)


def make_batch(durations: Sequence[int] = (5, 3),
               sizes: Sequence[Tuple[int, int]] = ((32, 64), (40, 32)),
               spans: Sequence[Optional[Tuple[int, int]]] = ((1, 3), (0, 1)),
               sentences: Sequence[str] = ('a man walks to the left',
                                           'the red ball'),
               seed: int = 0) -> dict:
    """What pseudo_collate gives: 'inputs' and 'data_samples'."""
    rng = torch.Generator().manual_seed(seed)
    videos = [
        torch.randint(0, 256, (t, 3, h, w), generator=rng, dtype=torch.uint8)
        for t, (h, w) in zip(durations, sizes)
    ]
    samples = [
        make_sample(i, *args)
        for i, args in enumerate(zip(durations, sizes, spans, sentences))
    ]
    return dict(inputs=videos, data_samples=samples)


def take(batch: dict, index: int) -> dict:
    """One sample of a batch as a batch."""
    return {k: [copy.deepcopy(v[index])] for k, v in batch.items()}


def make_memory(num: int = 2,
                frames: int = 5,
                cells: int = 6,
                channels: int = C,
                durations: Optional[List[int]] = None,
                seed: int = 0) -> FusedMemory:
    """A random output of the neck; the last token of video 1 is padding."""
    torch.manual_seed(seed)
    mask = torch.zeros(num, cells, dtype=torch.bool)
    mask[1:, -1] = True
    frame_mask = torch.zeros(num, frames, dtype=torch.bool)
    for i, duration in enumerate(durations or [frames] * num):
        frame_mask[i, duration:] = True
    return FusedMemory(
        memory=torch.randn(num, frames, cells, channels),
        pos=torch.randn(num, cells, channels),
        mask=mask,
        cls=torch.randn(num, frames, channels),
        frame_mask=frame_mask)
