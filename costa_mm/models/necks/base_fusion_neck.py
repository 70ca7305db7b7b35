# Copyright (c) costa_mm authors. All rights reserved.
"""What the necks of all methods share: spatial layers over cells and words."""
from typing import Tuple

import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from costa_mm.structures import TextFeatures, VisualFeatures
from ..layers import (TransformerEncoderLayer, grid_sine_embedding,
                      xavier_matrices)


class BaseFusionNeck(BaseModule):
    """Projects video features, lines tokens up, holds the spatial layers.

    Args:
        in_channels (int): Channels C' of the video features.
        embed_dims (int): C.
        num_layers (int): N.
        num_heads (int): Heads of all layers.
        feedforward_channels (int): Hidden channels of all FFNs.
        dropout (float): Dropout in all layers.
        input_norm (bool): LayerNorm over the channels of the projected cells,
            so that they and their positions have one scale.
        pos_in_tokens (bool): Also add the positions to the cells themselves,
            before the first round and after the last, not only to queries
            and keys, so that what is read from a cell says where it is.  A
            backbone that is trained from nothing has not learned to tell this
            from its zero padding, as pretrained ones have.
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
                 input_norm: bool = False,
                 pos_in_tokens: bool = False,
                 with_cp: bool = False) -> None:
        super().__init__()
        self.pos_in_tokens = pos_in_tokens
        self.with_cp = with_cp
        self.embed_dims = embed_dims
        self.layer_cfg = dict(
            embed_dims=embed_dims,
            num_heads=num_heads,
            feedforward_channels=feedforward_channels,
            dropout=dropout)
        self.input_proj = nn.Conv2d(in_channels, embed_dims, kernel_size=1)
        self.input_norm = nn.LayerNorm(
            embed_dims) if input_norm else nn.Identity()
        self.spatial_layers = self.make_layers(num_layers)

    def make_layers(self, num_layers: int) -> ModuleList:
        """A stack of encoder layers."""
        return ModuleList(
            TransformerEncoderLayer(**self.layer_cfg)
            for _ in range(num_layers))

    def init_weights(self) -> None:
        """Xavier for every matrix, as in DETR."""
        super().init_weights()
        xavier_matrices(self)

    def project(self, features: Tensor) -> Tensor:
        """Features (B, T, C', h, w) to cells row by row, (B, T, h*w, C)."""
        cells = self.input_proj(features.flatten(0, 1))
        cells = cells.flatten(2).transpose(1, 2)  # (B*T, h*w, C)
        return self.input_norm(cells).unflatten(0, features.shape[:2])

    def locate(self, tokens: Tensor, pos: Tensor) -> Tensor:
        """Add positions (B, S, C) to tokens (B, T, S, C), where wished."""
        if not self.pos_in_tokens:
            return tokens
        return tokens + pos[:, None].to(tokens.dtype)

    def pre_fusion(self, visual: VisualFeatures,
                   text: TextFeatures) -> Tuple[Tensor, Tensor, Tensor]:
        """Line tokens up as cells row by row, words.

        Returns:
            tuple[Tensor, Tensor, Tensor]: Tokens (B, T, S, C) with
            S = h*w + L, their positions (B, S, C), their mask (B, S).
        """
        cells = self.project(visual.features)
        words = text.tokens[:, None].expand(-1, cells.shape[1], -1, -1)
        tokens = torch.cat((cells, words.to(cells.dtype)), dim=2)
        grid = grid_sine_embedding(visual.cell_mask, cells.shape[-1])
        grid = grid.flatten(1, 2)  # (B, h*w, C)
        pos = torch.cat((grid, grid.new_zeros(text.tokens.shape)), dim=1)
        tokens = self.locate(tokens, pos)
        mask = torch.cat((visual.cell_mask.flatten(1), text.mask), dim=1)
        return tokens, pos, mask

    def run_layer(self, layer: nn.Module, *args: Tensor) -> Tensor:
        """Apply a layer, with recomputed activations where asked for."""
        if self.with_cp and self.training:
            return checkpoint(layer, *args, use_reentrant=False)
        return layer(*args)
