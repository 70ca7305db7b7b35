# Copyright (c) costa_mm authors. All rights reserved.
"""Slow-fast video-text encoder of TubeDETR (CVPR 2022)."""
from typing import Tuple

import torch
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TextFeatures, VisualFeatures
from ..layers import frame_key_mask
from .base_fusion_neck import BaseFusionNeck


@MODELS.register_module()
class TubeDETRFusionNeck(BaseFusionNeck):
    """Cells and words of every k-th frame, and a light branch for all frames.

    The slow branch lets the cells and words of frames 0, k, 2k, ... attend to
    each other; its output is repeated for the frames in between.  The fast
    branch adds, for the cells f of every frame,
    ``fast_residual(memory + fast_encoder(f))``.  It sends no gradient to the
    backbone, whose ``grad_stride`` (:class:`StridedGradResNet`) therefore
    equals k, and every frame passes through the backbone once.

    The steps are::

        pre_fusion -> forward_slow -> repeat_slow -> add_fast

    Videos of a batch may have any number of frames.

    Args:
        stride (int): k.
        fast (bool): Whether there is a fast branch.
        **kwargs: See :class:`BaseFusionNeck`.

    Raises:
        ValueError: If the stride is not positive.
    """

    def __init__(self,
                 *,
                 stride: int = 4,
                 fast: bool = True,
                 **kwargs) -> None:
        super().__init__(**kwargs)
        if stride < 1:
            raise ValueError(f'stride must be positive, got {stride}')
        self.stride = stride
        self.fast_encoder = self.fast_residual = None
        if fast:
            self.fast_encoder = nn.Linear(self.embed_dims, self.embed_dims)
            self.fast_residual = nn.Linear(self.embed_dims, self.embed_dims)

    def init_weights(self) -> None:
        """Xavier for every matrix; the fast branch starts from nothing."""
        super().init_weights()
        if self.fast_residual is not None:
            nn.init.zeros_(self.fast_residual.weight)
            nn.init.zeros_(self.fast_residual.bias)

    def forward(self, visual: VisualFeatures,
                text: TextFeatures) -> FusedMemory:
        """Fuse.

        Args:
            visual (VisualFeatures): Features (B, T, C', h, w) of all frames.
            text (TextFeatures): Tokens (B, L, C).

        Returns:
            FusedMemory: Memory (B, T, h*w + L, C); there is no [CLS].
        """
        tokens, pos, mask = self.pre_fusion(visual, text)
        slow = self.forward_slow(tokens, pos, mask)
        memory = self.repeat_slow(slow, visual.features.shape[1])
        memory = self.add_fast(memory, visual.features)
        return FusedMemory(
            memory=self.locate(memory, pos),
            pos=pos,
            mask=mask,
            cls=None,
            frame_mask=visual.frame_mask,
            cell_mask=visual.cell_mask)

    def pre_fusion(self, visual: VisualFeatures,
                   text: TextFeatures) -> Tuple[Tensor, Tensor, Tensor]:
        """Cells and words of the slow frames, (B, ceil(T / k), S, C)."""
        slow = visual._replace(features=visual.features[:, ::self.stride])
        return super().pre_fusion(slow, text)

    def forward_slow(self, tokens: Tensor, pos: Tensor,
                     mask: Tensor) -> Tensor:
        """Spatial layers; tokens (B, T', S, C) in and out."""
        num, length = tokens.shape[:2]
        pos = pos[:, None].expand(-1, length, -1, -1).flatten(0, 1)
        mask = frame_key_mask(mask, length)
        x = tokens.flatten(0, 1)  # (B*T', S, C)
        for layer in self.spatial_layers:
            x = self.run_layer(layer, x, pos, mask)
        return x.unflatten(0, (num, length))

    def repeat_slow(self, slow: Tensor, length: int) -> Tensor:
        """Each slow frame for itself and the k - 1 after it: (B, T, S, C)."""
        return slow.repeat_interleave(self.stride, dim=1)[:, :length]

    def add_fast(self, memory: Tensor, features: Tensor) -> Tensor:
        """Add what the fast branch sees, to the cells of every frame.

        Args:
            memory (Tensor): (B, T, S, C).
            features (Tensor): (B, T, C', h, w).

        Returns:
            Tensor: (B, T, S, C).
        """
        if self.fast_encoder is None:
            return memory
        fast = self.fast_encoder(self.project(features.detach()))
        count = fast.shape[2]
        cells = memory[:, :, :count]
        cells = cells + self.fast_residual(cells + fast)
        # words stay as they are
        return torch.cat((cells, memory[:, :, count:]), dim=2)
