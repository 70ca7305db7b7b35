# Copyright (c) costa_mm authors. All rights reserved.
"""Encoder of CG-STVG (CVPR 2024) and TA-STVG (ICLR 2025)."""
from typing import Tuple

import torch
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TextFeatures, VisualFeatures
from ..layers import frame_key_mask, masked_mean
from .base_fusion_neck import BaseFusionNeck


@MODELS.register_module()
class TwoStreamFusionNeck(BaseFusionNeck):
    """Appearance cells, words and motion cells attend to each other.

    Each frame by itself: there are neither temporal layers nor [CLS] tokens.
    A frame's vector c_t is the mean of all its tokens after the layers and
    one final norm.  The steps are::

        pre_fusion -> forward_layers -> summarise

    Args:
        motion_channels (int): Channels of the motion map.
        input_norm (bool): See :class:`BaseFusionNeck`; for both streams.
        **kwargs: See :class:`BaseFusionNeck`.
    """

    def __init__(self,
                 *,
                 motion_channels: int = 768,
                 input_norm: bool = False,
                 **kwargs) -> None:
        super().__init__(input_norm=input_norm, **kwargs)
        self.motion_proj = nn.Conv2d(
            motion_channels, self.embed_dims, kernel_size=1)
        self.motion_norm = nn.LayerNorm(
            self.embed_dims) if input_norm else nn.Identity()
        self.norm = nn.LayerNorm(self.embed_dims)

    def init_weights(self) -> None:
        """Xavier for every matrix but the projections of the maps."""
        super().init_weights()
        self.input_proj.reset_parameters()
        self.motion_proj.reset_parameters()

    def forward(self, visual: VisualFeatures,
                text: TextFeatures) -> FusedMemory:
        """Fuse.

        Args:
            visual (VisualFeatures): Features (B, T, C', h, w) and, in
                ``extras``, 'motion' (B, T, C'', h, w).
            text (TextFeatures): Tokens (B, L, C).

        Returns:
            FusedMemory: Memory (B, T, h*w + L + h*w, C): appearance, words,
            motion; c (B, T, C) and, in ``extras``, 'video_cls' (B, C), the
            mean of c over the frames.
        """
        tokens, pos, mask = self.pre_fusion(visual, text)
        memory = self.forward_layers(tokens, pos, mask)
        cls, video_cls = self.summarise(memory, mask, visual.frame_mask)
        return FusedMemory(
            memory=self.locate(memory, pos),
            pos=pos,
            mask=mask,
            cls=cls,
            frame_mask=visual.frame_mask,
            cell_mask=visual.cell_mask,
            extras=dict(video_cls=video_cls))

    def pre_fusion(self, visual: VisualFeatures,
                   text: TextFeatures) -> Tuple[Tensor, Tensor, Tensor]:
        """Line tokens up as appearance, words, motion.

        Returns:
            tuple[Tensor, Tensor, Tensor]: Tokens (B, T, S, C) with
            S = h*w + L + h*w, their positions (B, S, C), their mask (B, S).

        Raises:
            ValueError: If the backbone gave no motion.
        """
        if 'motion' not in visual.extras:
            raise ValueError('TwoStreamFusionNeck needs a backbone that gives '
                             'motion as well, such as TwoStreamResNet')
        tokens, pos, mask = super().pre_fusion(visual, text)
        cells = pos.shape[1] - text.tokens.shape[1]
        motion = self.project_motion(visual.extras['motion'])
        motion = self.locate(motion, pos[:, :cells])
        return (torch.cat((tokens, motion.to(tokens.dtype)), dim=2),
                torch.cat((pos, pos[:, :cells]), dim=1),
                torch.cat((mask, mask[:, :cells]), dim=1))

    def project_motion(self, motion: Tensor) -> Tensor:
        """Motion (B, T, C'', h, w) to cells row by row, (B, T, h*w, C)."""
        cells = self.motion_proj(motion.flatten(0, 1))
        cells = cells.flatten(2).transpose(1, 2)  # (B*T, h*w, C)
        return self.motion_norm(cells).unflatten(0, motion.shape[:2])

    def forward_layers(self, tokens: Tensor, pos: Tensor,
                       mask: Tensor) -> Tensor:
        """Spatial layers and the final norm, (B, T, S, C) in and out."""
        num, length = tokens.shape[:2]
        pos = pos[:, None].expand(-1, length, -1, -1).flatten(0, 1)
        mask = frame_key_mask(mask, length)
        x = tokens.flatten(0, 1)  # (B*T, S, C)
        for layer in self.spatial_layers:
            x = self.run_layer(layer, x, pos, mask)
        return self.norm(x).unflatten(0, (num, length))

    def summarise(self, memory: Tensor, mask: Tensor,
                  frame_mask: Tensor) -> Tuple[Tensor, Tensor]:
        """Frame vectors (B, T, C) and video vectors (B, C)."""
        cls = masked_mean(memory, mask[:, None], dim=2)
        return cls, masked_mean(cls, frame_mask, dim=1)
