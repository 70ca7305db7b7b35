# Copyright (c) costa_mm authors. All rights reserved.
"""Tiny CG-STVG and TA-STVG with published weights; padded batches."""
from collections import defaultdict
from typing import Callable, Dict, List, Optional, Sequence

import torch
from torch import Tensor, nn

from costa_mm.models import TwoStreamFusionNeck
from costa_mm.structures import VideoBatch
from . import parity

APPEARANCE, MOTION = 48, 768
SIZES = dict(embed_dims=256, num_heads=8, feedforward_channels=64)
# what float32 allows, measured against float64: hidden states, outputs
HIDDEN, OUTPUT = dict(atol=5e-5, rtol=1e-4), dict(atol=1e-5, rtol=1e-4)


class TwoStreamStub(nn.Module):
    """Frames that are both maps already, one behind the other."""

    def forward(self, x: Tensor, durations=None) -> Dict[str, Tensor]:
        return dict(features=x[:, :APPEARANCE], motion=x[:, APPEARANCE:])


_WEIGHTS: Dict[str, Dict[str, Tensor]] = {}


def weights(golden: Callable, method: str) -> Dict[str, Tensor]:
    """Published weights; a matrix is stored as numbers of its levels."""
    if method not in _WEIGHTS:
        stored = golden(f'{method}_tiny_weights')
        _WEIGHTS[method] = {
            k: stored[f'{k}|levels'][v.long()]
            if f'{k}|levels' in stored else v
            for k, v in stored.items() if '|' not in k
        }
    return _WEIGHTS[method]


def make(golden: Callable,
         method: str,
         head: nn.Module,
         rules,
         hidden: Optional[Tensor] = None,
         mask: Optional[Tensor] = None) -> nn.Module:
    """The tiny model with published weights and stored sentences."""
    data = golden(f'{method}_tiny_b1')
    return parity.build(
        TwoStreamFusionNeck(in_channels=APPEARANCE, num_layers=2, **SIZES),
        head, rules, weights(golden, method),
        data['text_hidden_in'] if hidden is None else hidden,
        data['text_mask'] if mask is None else mask, TwoStreamStub())


def video(data: Dict[str, Tensor]) -> VideoBatch:
    """The stored video."""
    return parity.batch(
        [torch.cat((data['vis_feat_in'], data['vid_feat_in']), dim=1)])


def padded(videos: Sequence[Tensor], extra: int = 0) -> VideoBatch:
    """Videos (T, C', h, w) of any size as one batch.

    ``extra`` appends padded frames, rows and columns to the largest.
    """
    length, rows, columns = (
        max(v.shape[d] for v in videos) + extra for d in (0, 2, 3))
    frames = torch.zeros(
        len(videos), length, videos[0].shape[1], rows, columns)
    frame_mask = torch.ones(len(videos), length, dtype=torch.bool)
    pixel_mask = torch.ones(len(videos), rows, columns, dtype=torch.bool)
    for i, v in enumerate(videos):
        t, _, h, w = v.shape
        frames[i, :t, :, :h, :w] = v
        frame_mask[i, :t] = False
        pixel_mask[i, :h, :w] = False
    return VideoBatch(frames, tuple(len(v) for v in videos), frame_mask,
                      pixel_mask)


def check_gradients(model: nn.Module, rules, method: str,
                    published: Dict[str, Tensor]) -> None:
    """All gradients; of dead parameters not even the values are stored."""
    parity.check_gradients(model, rules, method,
                           defaultdict(lambda: torch.zeros(3), published))


def collect(module: nn.Module, method: str, out: List) -> None:
    """Record what a method of a module returns."""
    original = getattr(module, method)

    def record(*args, **kwargs):
        out.append(original(*args, **kwargs))
        return out[-1]

    setattr(module, method, record)


def clipped(boxes: Tensor, size: Tensor) -> Tensor:
    """Boxes (N, 4) inside the frame, as ours are; (height, width)."""
    return torch.minimum(boxes.clamp(min=0), size.flip(0).repeat(2))
