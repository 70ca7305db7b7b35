# Copyright (c) costa_mm authors. All rights reserved.
"""Tiny grounders with published weights, for tests of equality.

The backbone and the language model are stubs: the stored numbers start from
their outputs.
"""
from typing import Dict, List, Tuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from costa_mm.models import SpatioTemporalGrounder
from costa_mm.structures import TextFeatures, TubeDataSample, VideoBatch
from costa_mm.weights.published_names import Rules, rename
from .conftest import DATA

# sizes of the stored tiny models
TINY = dict(
    embed_dims=64, num_layers=2, num_heads=4, feedforward_channels=128)


class IdentityBackbone(nn.Module):
    """Frames that are features already."""

    def forward(self, x: Tensor, durations=None):
        return (x, )


class StubText(nn.Module):
    """The language model's output as it was stored, then projection, norm."""

    def __init__(self, hidden: Tensor, mask: Tensor, channels: int) -> None:
        super().__init__()
        self.hidden, self.mask = hidden, mask
        self.proj = nn.Linear(hidden.shape[-1], channels)
        self.norm = nn.LayerNorm(channels, eps=1e-12)

    def forward(self, sentences: List[str]) -> TextFeatures:
        # a sentence is the row of its hidden state
        rows = torch.tensor([int(s) for s in sentences])
        return TextFeatures(
            self.norm(self.proj(self.hidden[rows])), self.mask[rows])


def build(neck: nn.Module, head: nn.Module, rules: Rules,
          weights: Dict[str, Tensor], hidden: Tensor,
          mask: Tensor, backbone: nn.Module = None) -> SpatioTemporalGrounder:
    """A grounder in eval mode that holds published tiny weights."""
    model = SpatioTemporalGrounder(
        backbone=IdentityBackbone() if backbone is None else backbone,
        text_encoder=StubText(hidden, mask, neck.embed_dims),
        neck=neck,
        head=head)
    model.load_state_dict(rename(weights, rules).state)
    return model.eval()


def batch(features: List[Tensor]) -> VideoBatch:
    """Features (T, C', h, w) of videos of one size, padded in time."""
    durations = tuple(len(f) for f in features)
    total = max(durations)
    frames = torch.stack([
        torch.cat((f, f.new_zeros(total - len(f), *f.shape[1:])))
        for f in features
    ])
    index = torch.arange(total)
    mask = torch.stack([index >= d for d in durations])
    pixels = torch.zeros(
        len(features), *frames.shape[-2:], dtype=torch.bool)
    return VideoBatch(frames, durations, mask, pixels)


def sample(row: int, length: int, span=None, boxes=None) -> TubeDataSample:
    """A sample with normalised (cx, cy, w, h) boxes inside the span."""
    out = TubeDataSample(
        metainfo=dict(
            sample_id=str(row),
            sentence=str(row),
            frame_ids=torch.arange(length).numpy(),
            num_frames=length,
            ori_shape=(120, 90),
            img_shape=(1, 1)))
    if span is not None:
        first, last = (int(i) for i in span)
        centre, size = boxes[:, :2], boxes[:, 2:]
        out.gt_span = torch.tensor([first, last])
        out.gt_box_mask = torch.zeros(length, dtype=torch.bool)
        out.gt_box_mask[first:last + 1] = True
        out.gt_boxes = torch.zeros(length, 4)
        out.gt_boxes[first:last + 1] = torch.cat(
            (centre - size / 2, centre + size / 2), dim=1)
    return out


def close(ours: Tensor, published: Tensor, atol: float = 2e-5,
          rtol: float = 1e-4) -> None:
    """Equality within the rounding that the stored numbers allow."""
    torch.testing.assert_close(
        ours.detach().reshape(published.shape), published, atol=atol,
        rtol=rtol)


def gradient(model: nn.Module, rules: Rules, name: str, shape) -> Tensor:
    """Our gradient of a published parameter, flat; empty if it is not ours."""
    ours = dict(model.named_parameters())
    state = rename({name: torch.zeros(shape)}, rules).state
    if not state:
        return torch.zeros(0)
    return torch.cat([ours[k].grad.flatten() for k in state])


def check_losses(losses: Dict[str, Tensor], data: Dict[str, Tensor],
                 terms: Dict[str, Tuple[str, float]],
                 num_layers: int) -> None:
    """Every term of every layer, and their weighted sum.

    ``terms`` maps published names to ours and their weights.
    """
    assert len(losses) == len(terms) * num_layers
    for layer in range(num_layers):
        last = layer == num_layers - 1
        for theirs, (ours, weight) in terms.items():
            value = losses[ours if last else f'd{layer}.{ours}']
            published = data[f'loss.{theirs}' + ('' if last else f'_{layer}')]
            close(value / weight, published)
    close(sum(losses.values()), data['total'])


def check_gradients(model: nn.Module,
                    rules: Rules,
                    method: str,
                    weights: Dict[str, Tensor],
                    alias: Tuple[str, str] = ('', '')) -> None:
    """Norm of every parameter's gradient, and some gradients in full."""
    with np.load(DATA / f'{method}_tiny_grad_b1.npz') as file:
        norms = dict(zip(file['param_names'].tolist(),
                         file['grad_l2'].tolist()))
        full = {
            k[len('gradfull.'):]: torch.from_numpy(file[k])
            for k in file.files if k.startswith('gradfull.')
        }
    for name, norm in norms.items():
        ours = gradient(model, rules, name.replace(*alias),
                        weights[name].shape)
        if norm < 0:  # never trained, so it has no counterpart
            assert ours.numel() == 0, name
        else:
            assert ours.norm().item() == pytest.approx(
                norm, rel=2e-4, abs=2e-5), name
    assert len(full) >= 6
    for name, published in full.items():
        ours = gradient(model, rules, name.replace(*alias), published.shape)
        close(ours, published, atol=2e-5, rtol=1e-4)


def stored_outputs(data: Dict[str, Tensor]) -> Dict[str, List[Tensor]]:
    """Leaves of the stored outputs, by name, first layer first."""
    prefixes = [f'in.aux{i}.' for i in range(9)] + ['in.']
    names = [k[3:] for k in data if k.startswith('in.') and 'aux' not in k]
    return {
        name: [
            data[p + name].clone().requires_grad_() for p in prefixes
            if p + name in data
        ]
        for name in names
    }


def check_output_gradients(leaves: Dict[str, List[Tensor]],
                           data: Dict[str, Tensor]) -> None:
    """Gradients of the losses with respect to the outputs."""
    for name, tensors in leaves.items():
        for layer, leaf in enumerate(tensors):
            last = layer == len(tensors) - 1
            prefix = 'grad.' if last else f'grad.aux{layer}.'
            close(leaf.grad, data[prefix + name])


class CapturedWeights:
    """Attention weights that the layers compute but nobody reads.

    Args:
        modules (list[nn.Module]): Attention modules.
    """

    def __init__(self, modules: List[nn.Module]) -> None:
        self.weights = []
        for module in modules:
            module.register_forward_hook(self._repeat)
        self._busy = False

    def _repeat(self, module: nn.Module, args: tuple, output) -> None:
        if not self._busy:
            self._busy = True
            self.weights.append(module(*args[:4], need_weights=True)[1])
            self._busy = False
