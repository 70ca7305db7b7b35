# Copyright (c) costa_mm authors. All rights reserved.
"""Space-time multi-modal fusion of CoSTA."""
from typing import Tuple

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TextFeatures, VisualFeatures

from ..layers import (TransformerEncoderLayer, frame_key_mask,
                      grid_sine_embedding, time_sine_embedding)


@MODELS.register_module()
class SpaceTimeFusionNeck(BaseModule):
    """N rounds of spatial and temporal self-attention.

    In every round one spatial layer lets the tokens of a frame, that is its
    [CLS] token c_i, its h*w cells F_v and the L words F_l, attend to each
    other, and one temporal layer lets the T [CLS] tokens of a video do so.
    The words are repeated for every frame.  The paper has T learnable [CLS]
    tokens; T varies, so one embedding serves all frames and the temporal
    layers add the frame number's sine embedding.

    Args:
        in_channels (int): Channels C' of the video features.
        embed_dims (int): C.
        num_layers (int): N.
        num_heads (int): Heads of all layers.
        feedforward_channels (int): Hidden channels of all FFNs.
        dropout (float): Dropout in all layers.
        temporal_layers (bool): Without, c_i never sees another frame ("no
            ST-encoder" in Table 2, together with a 2D-only backbone).
        with_cp (bool): Recompute the layers' activations in the backward pass
            instead of keeping them.
    """

    def __init__(self,
                 *,
                 in_channels: int = 2048,
                 embed_dims: int = 256,
                 num_layers: int = 6,
                 num_heads: int = 8,
                 feedforward_channels: int = 2048,
                 dropout: float = 0.1,
                 temporal_layers: bool = True,
                 with_cp: bool = False) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.input_proj = nn.Conv2d(in_channels, embed_dims, kernel_size=1)
        self.cls_token = nn.Parameter(torch.zeros(embed_dims))
        self.cls_pos = nn.Parameter(torch.zeros(embed_dims))
        layer = dict(
            embed_dims=embed_dims,
            num_heads=num_heads,
            feedforward_channels=feedforward_channels,
            dropout=dropout)
        self.spatial_layers = ModuleList(
            TransformerEncoderLayer(**layer) for _ in range(num_layers))
        self.temporal_layers = ModuleList(
            TransformerEncoderLayer(**layer)
            for _ in range(num_layers if temporal_layers else 0))

    def init_weights(self) -> None:
        """Xavier for every matrix, as in DETR; normal for [CLS]."""
        super().init_weights()
        for name, param in self.named_parameters():
            if param.dim() > 1:
                nn.init.xavier_uniform_(param)
        nn.init.normal_(self.cls_token, std=0.02)
        nn.init.normal_(self.cls_pos, std=0.02)

    def forward(self, visual: VisualFeatures,
                text: TextFeatures) -> FusedMemory:
        """Fuse.

        Args:
            visual (VisualFeatures): Features (B, T, C', h, w).
            text (TextFeatures): Tokens (B, L, C).

        Returns:
            FusedMemory: Memory (B, T, h*w + L, C) and c (B, T, C).
        """
        tokens, pos, mask = self.pre_fusion(visual, text)
        tokens = self.forward_rounds(tokens, pos, mask, visual.frame_mask)
        return FusedMemory(
            memory=tokens[:, :, 1:],
            pos=pos[:, 1:],
            mask=mask[:, 1:],
            cls=tokens[:, :, 0],
            frame_mask=visual.frame_mask)

    def pre_fusion(self, visual: VisualFeatures,
                   text: TextFeatures) -> Tuple[Tensor, Tensor, Tensor]:
        """Line tokens up as [CLS], cells row by row, words.

        Returns:
            tuple[Tensor, Tensor, Tensor]: Tokens (B, T, S, C) with
            S = 1 + h*w + L, their positions (B, S, C), their mask (B, S).
        """
        num, length = visual.features.shape[:2]
        cells = self.input_proj(visual.features.flatten(0, 1))
        cells = cells.flatten(2).transpose(1, 2)  # (B*T, h*w, C)
        cells = cells.unflatten(0, (num, length))
        words = text.tokens[:, None].expand(-1, length, -1, -1)
        cls = self.cls_token.expand(num, length, 1, -1)
        tokens = torch.cat((cls.to(cells.dtype), cells, words.to(cells.dtype)),
                           dim=2)
        grid = grid_sine_embedding(visual.cell_mask, cells.shape[-1])
        grid = grid.flatten(1, 2)  # (B, h*w, C)
        pos = torch.cat((self.cls_pos.expand(num, 1, -1), grid,
                         grid.new_zeros(text.tokens.shape)),
                        dim=1)
        mask = torch.cat(
            (text.mask.new_zeros(num, 1), visual.cell_mask.flatten(1),
             text.mask),
            dim=1)
        return tokens, pos, mask

    def forward_rounds(self, tokens: Tensor, pos: Tensor, mask: Tensor,
                       frame_mask: Tensor) -> Tensor:
        """N rounds; tokens (B, T, S, C) in and out."""
        num, length = tokens.shape[:2]
        time = time_sine_embedding(
            length, tokens.shape[-1], device=tokens.device)
        pos = pos[:, None].expand(-1, length, -1, -1).flatten(0, 1)
        mask = frame_key_mask(mask, length)
        x = tokens.flatten(0, 1)  # (B*T, S, C)
        for i, spatial in enumerate(self.spatial_layers):
            x = self._run(spatial, x, pos, mask)
            if not self.temporal_layers:
                continue
            cls = x[:, 0].unflatten(0, (num, length))  # (B, T, C)
            cls = self._run(self.temporal_layers[i], cls, time, frame_mask)
            x = torch.cat((cls.flatten(0, 1)[:, None], x[:, 1:]), dim=1)
        return x.unflatten(0, (num, length))

    def _run(self, layer: nn.Module, *args: Tensor) -> Tensor:
        if self.with_cp and self.training:
            return checkpoint(layer, *args, use_reentrant=False)
        return layer(*args)
