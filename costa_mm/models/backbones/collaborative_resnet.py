# Copyright (c) costa_mm authors. All rights reserved.
"""Space-time collaborative encoder: Eq. (1) and Fig. 4 of CoSTA."""
from typing import List, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.utils import host_index, inverse_order
from .checkpointing import take_over_checkpointing
from .memory_layout import use_channels_last
from .norm_folding import fold_norms

Part = Union[dict, nn.Module, None]


def _build(part: Part) -> Optional[nn.Module]:
    """A part may come as a config, as a module, or not at all."""
    return MODELS.build(part) if isinstance(part, dict) else part


def _stage_channels(resnet: nn.Module) -> List[int]:
    """Output channels of every stage; a ResNet's double from each to the next.

    Pathways of another kind say them, as ``stage_channels``.
    """
    if hasattr(resnet, 'stage_channels'):
        return list(resnet.stage_channels)
    stages = len(resnet.res_layers)
    return [resnet.feat_dim // 2**(stages - 1 - i) for i in range(stages)]


@MODELS.register_module()
class CollaborativeResNet(BaseModule):
    """A 2D and a 3D ResNet, connected after each of their stages.

    With x_l the output of stage l of the 2D pathway and phi_l stage l of the
    3D pathway, Eq. (1) reads::

        y_1 = phi_1(stem(V)) (.) x_1
        y_l = phi_l(y_{l-1}) (.) x_l,    l = 2, 3, 4

    where (.) is the ``connection``.  With one pathway only (Table 3a), y_l is
    x_l or phi_l(y_{l-1}).  Time is never strided, and a video of a padded
    batch gets the result that it would have alone: padded frames are not
    computed at all.

    Pathways may have ``with_cp=True``: their blocks then recompute activations
    in the backward pass instead of keeping them.

    Args:
        spatial (dict or nn.Module, optional): 2D pathway, ``mmdet.ResNet`` or
            :class:`EfficientNetLite`; None for "3D only".
        temporal (dict or nn.Module, optional): 3D pathway,
            ``mmaction.ResNet3d`` with temporal strides 1 and
            ``with_pool2=False``; None for "2D only".
        connection (dict): How the pathways are connected; built once per
            stage with its number of ``channels``.
        out_indices (Sequence[int]): Stages to return, from 0.
        single_output (bool): Return the only map itself instead of a tuple
            with one map, as mmaction2's recognisers expect.
        frame_chunk (int, optional): Number of frames that pass through the 2D
            pathway at a time; all at once by default.
        efficient_conv_bn_eval (bool): Whether batch norms with fixed
            statistics are folded into the convolutions before them, in
            training too (see :mod:`.norm_folding`).
        channels_last (bool): Whether weights and maps lie in memory with the
            channels last, as convolutions and the connections' norms like
            them; pathways that are too narrow stay (see
            :func:`use_channels_last`).
        init_cfg (dict, optional): Initialisation config.

    Raises:
        ValueError: If there is no pathway, if they differ in channels, if
            the 3D pathway would shorten time, or if stages are asked for
            that there are not.
    """

    def __init__(self,
                 *,
                 spatial: Part = None,
                 temporal: Part = None,
                 connection: dict = dict(type='costa_mm.NormSumConnection'),
                 out_indices: Sequence[int] = (3, ),
                 single_output: bool = False,
                 frame_chunk: Optional[int] = None,
                 efficient_conv_bn_eval: bool = False,
                 channels_last: bool = False,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg=init_cfg)
        self.spatial = _build(spatial)
        self.temporal = _build(temporal)
        self.out_indices = tuple(out_indices)
        self.single_output = single_output
        self.frame_chunk = frame_chunk
        if single_output and len(self.out_indices) != 1:
            raise ValueError('single_output needs exactly one of out_indices')
        self._check_pathways()
        self.stage_channels = _stage_channels(self.spatial or self.temporal)
        self._check_stages()
        self.out_channels = self.stage_channels[self.out_indices[-1]]
        self.connections = None
        if self.spatial is not None and self.temporal is not None:
            self.connections = ModuleList(
                MODELS.build({
                    **connection, 'channels': c
                }) for c in self.stage_channels)
        self.lifted = False  # the 2D pathway takes videos: work_on_videos()
        self._layouts = {}
        for name in ('spatial', 'temporal'):
            pathway = getattr(self, name)
            if pathway is None:
                continue
            # mmaction2 freezes in train() only; DDP, which looks before, would
            # wait for gradients of what is frozen
            if hasattr(pathway, '_freeze_stages'):
                pathway._freeze_stages()
            take_over_checkpointing(pathway)
            if efficient_conv_bn_eval:
                fold_norms(pathway)
            if channels_last:
                self._layouts[name] = use_channels_last(pathway)

    def _check_pathways(self) -> None:
        if self.spatial is None and self.temporal is None:
            raise ValueError('CollaborativeResNet needs a spatial or a '
                             'temporal pathway')
        if self.temporal is not None:
            if self.temporal.with_pool2 or self.temporal.pool1_stride_t != 1 \
                    or self.temporal.conv1_stride_t != 1 \
                    or set(self.temporal.temporal_strides) != {1}:
                raise ValueError(
                    'the 3D pathway shortens time: set with_pool2=False, '
                    'conv1_stride_t=1, pool1_stride_t=1 and '
                    'temporal_strides=(1, 1, 1, 1)')
        if self.spatial is not None and self.temporal is not None:
            two, three = map(_stage_channels, (self.spatial, self.temporal))
            if two != three:
                raise ValueError('the pathways differ in channels per stage: '
                                 f'2D {two}, 3D {three}')

    def _check_stages(self) -> None:
        stages = list(range(len(self.stage_channels)))
        wanted = list(self.out_indices)
        if not wanted or wanted != sorted(set(wanted) & set(stages)):
            raise ValueError(f'out_indices {self.out_indices} must be stages '
                             f'from 0 to {stages[-1]}, in rising order')
        found = stages  # of another kind, as it says itself
        if not hasattr(self.spatial, 'stage_channels'):
            found = getattr(self.spatial, 'out_indices', stages)
        if list(found) != stages:
            raise ValueError(
                f'the 2D pathway has out_indices={tuple(found)}, but all of '
                f'its stages are needed: out_indices={tuple(stages)}')

    def forward(
        self,
        x: Tensor,
        durations: Optional[Sequence[int]] = None
    ) -> Union[Tensor, Tuple[Tensor, ...]]:
        """Encode videos, or images as videos of one frame.

        Args:
            x (Tensor): Videos (N, 3, T, H, W) or images (N, 3, H, W).
            durations (Sequence[int], optional): Valid frames of each video;
                all T by default.

        Returns:
            tuple[Tensor] or Tensor: y_l for l in ``out_indices``,
            (N, C_l, T, H_l, W_l), zeros on padded frames; without T where
            images came in; the map itself with ``single_output``.
        """
        is_image = x.dim() == 4
        if is_image:
            x = x.unsqueeze(2)  # (N, 3, 1, H, W)
        outs = self._forward_padded(x, durations)
        if is_image:
            outs = tuple(y.squeeze(2) for y in outs)
        return outs[0] if self.single_output else outs

    def _forward_padded(
            self, x: Tensor,
            durations: Optional[Sequence[int]]) -> Tuple[Tensor, ...]:
        """Encode the videos of each length together, without padding."""
        total = x.shape[2]
        if durations is None or all(d == total for d in durations):
            return self._forward_equal(x)
        groups = {
            d: [i for i, other in enumerate(durations) if other == d]
            for d in sorted(set(durations))
        }
        parts = []
        for length, rows in groups.items():
            own = x[:, :, :length].index_select(0, host_index(rows, x.device))
            outs = self._forward_equal(own)
            # (n, C, length, h, w) -> (n, C, T, h, w)
            parts.append([
                F.pad(y, (0, 0, 0, 0, 0, total - length)) for y in outs
            ])
        order = [i for rows in groups.values() for i in rows]
        back = host_index(inverse_order(order), x.device)
        return tuple(torch.cat(ys).index_select(0, back) for ys in zip(*parts))

    def _forward_equal(self, x: Tensor) -> Tuple[Tensor, ...]:
        """Eq. (1) for videos without padding, (N, 3, T, H, W)."""
        spatial = self._forward_spatial(x)
        if self.temporal is None:
            return tuple(spatial[i] for i in self.out_indices)
        outs = []
        y = self._lay_out(x, 'temporal')
        y = self.temporal.conv1(y)
        if self.temporal.with_pool1:
            y = self.temporal.maxpool(y)
        for i, name in enumerate(self.temporal.res_layers):
            y = getattr(self.temporal, name)(y)  # phi_l(y_{l-1})
            if self.connections is not None:
                y = self.connections[i](y, spatial[i])
            if i in self.out_indices:
                outs.append(y)
            if i == self.out_indices[-1]:
                break
        return tuple(outs)

    def _lay_out(self, x: Tensor, pathway: str) -> Tensor:
        """The input of a pathway in the layout that it likes."""
        layout = self._layouts.get(pathway)
        return x if layout is None else x.contiguous(memory_format=layout)

    def _forward_spatial(self, x: Tensor) -> List[Tensor]:
        """x_1 .. x_4 of every frame, each (N, C_l, T, H_l, W_l)."""
        if self.spatial is None:
            return []
        if self.lifted:
            return list(self.spatial(x))
        num, _, length = x.shape[:3]
        frames = x.transpose(1, 2).flatten(0, 1)  # (N * T, 3, H, W)
        frames = self._lay_out(frames, 'spatial')
        # no len(): exported graphs take any number of frames
        chunks = (frames.split(self.frame_chunk)
                  if self.frame_chunk else (frames, ))
        stages = zip(*(self.spatial(chunk) for chunk in chunks))
        return [
            torch.cat(s).unflatten(0, (num, length)).transpose(1, 2)
            for s in stages
        ]
