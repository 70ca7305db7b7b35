# Copyright (c) costa_mm authors. All rights reserved.
"""ST-ViLBERT, the cross-modal encoder of STVGBert (ICCV 2021)."""
import torch
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TextFeatures, VisualFeatures
from ..layers import (CrossModalLayer, PooledEncoderLayer,
                      TransformerEncoderLayer)
from ..layers.pooled_attention import BERT_CFG
from ..layers.region_pooling import grid_size
from .base_fusion_neck import BaseFusionNeck


def cell_locations(frame_mask: Tensor, cell_mask: Tensor) -> Tensor:
    """Where a cell is: (t / T, x / w, y / h, 1 / w, 1 / h, 1 / (w h)).

    T, w and h are those of the video itself, without padding.

    Args:
        frame_mask (Tensor): True on padding, (B, T), bool.
        cell_mask (Tensor): True on padding, (B, h, w), bool.

    Returns:
        Tensor: Row by row, (B, T, h*w, 6), float32.
    """
    num, length = frame_mask.shape
    height, width = cell_mask.shape[1:]

    def count(steps: int, size: Tensor) -> Tensor:
        return torch.arange(steps, device=frame_mask.device) / size[:, None]

    rows, columns = grid_size(cell_mask)
    wide, high = (1 / n.float()[:, None, None] for n in (columns, rows))
    parts = (count(length, (~frame_mask).sum(1))[:, :, None],
             count(width, columns).repeat(1, height)[:, None],
             count(height, rows).repeat_interleave(width, 1)[:, None], wide,
             high, wide * high)
    shape = (num, length, height * width)
    return torch.stack([part.expand(shape) for part in parts], dim=-1)


@MODELS.register_module()
class STViLBertNeck(BaseModule):
    """Co-attention with the upper half of BERT, over pooled tokens.

    Of BERT's layers the lower ones are the text encoder
    (``HFTextEncoder(num_layers=6, out_channels=None)``), the upper ones are
    here, since they alternate with co-attention::

        embed -> N x (co-attention -> vision layer, text layer)

    The memory has cells only.  ``extras`` have the sentence's [CLS],
    'sentence' (B, C_t), and the backbone's map, 'visual' (B, T, C', h, w).

    Args:
        in_channels (int): Channels C' of the video features.
        embed_dims (int): C.
        num_layers (int): N.
        num_heads (int): Heads of vision layers and co-attention.
        feedforward_channels (int): Hidden channels of the cells' FFNs.
        text_layer (dict): ``embed_dims`` C_t, ``num_heads`` and
            ``feedforward_channels`` of BERT's layers.
        dropout (float): Dropout in all layers.
        with_cp (bool): Recompute the layers' activations in the backward pass
            instead of keeping them.
    """

    run_layer = BaseFusionNeck.run_layer

    def __init__(self,
                 *,
                 in_channels: int = 2048,
                 embed_dims: int = 1024,
                 num_layers: int = 6,
                 num_heads: int = 8,
                 feedforward_channels: int = 1024,
                 text_layer: dict = dict(
                     embed_dims=768, num_heads=12, feedforward_channels=3072),
                 dropout: float = 0.1,
                 with_cp: bool = False) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.embed_dims = embed_dims
        self.input_proj = nn.Linear(in_channels, embed_dims)
        self.location_proj = nn.Linear(6, embed_dims)
        self.input_norm = nn.LayerNorm(embed_dims, eps=BERT_CFG['norm_eps'])
        self.dropout = nn.Dropout(dropout)
        layer = dict(
            embed_dims=embed_dims,
            num_heads=num_heads,
            feedforward_channels=feedforward_channels,
            dropout=dropout)
        self.co_layers = ModuleList(
            CrossModalLayer(
                **layer,
                text_dims=text_layer['embed_dims'],
                text_feedforward_channels=text_layer['feedforward_channels'])
            for _ in range(num_layers))
        self.vision_layers = ModuleList(
            PooledEncoderLayer(**layer) for _ in range(num_layers))
        self.text_layers = ModuleList(
            TransformerEncoderLayer(**text_layer, dropout=dropout, **BERT_CFG)
            for _ in range(num_layers))

    def init_weights(self) -> None:
        """BERT's: small matrices, so that layers begin near the identity.

        With Xavier's, a model that is trained from nothing adds so much of
        the means to its cells that what tells them apart is not found.
        """
        super().init_weights()
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, visual: VisualFeatures,
                text: TextFeatures) -> FusedMemory:
        """Fuse.

        Args:
            visual (VisualFeatures): Features (B, T, C', h, w).
            text (TextFeatures): Tokens (B, L, C_t), [CLS] first.

        Returns:
            FusedMemory: Memory (B, T, h*w, C); there is no frame token.
        """
        cell_mask = visual.cell_mask.flatten(1)
        masks = (cell_mask, visual.frame_mask)
        cells, words = self.embed(visual), text.tokens
        for co, vision, upper in zip(self.co_layers, self.vision_layers,
                                     self.text_layers):
            cells, words = self.run_layer(co, cells, words, *masks, text.mask)
            cells = self.run_layer(vision, cells, *masks)
            words = self.run_layer(upper, words, 0., text.mask)
        return FusedMemory(
            memory=cells,
            pos=cells.new_zeros(cells[:, 0].shape),
            mask=cell_mask,
            cls=None,
            frame_mask=visual.frame_mask,
            cell_mask=visual.cell_mask,
            extras=dict(sentence=words[:, 0], visual=visual.features))

    def embed(self, visual: VisualFeatures) -> Tensor:
        """Features and their places to cells row by row, (B, T, h*w, C)."""
        cells = self.input_proj(visual.features.flatten(3).transpose(2, 3))
        places = cell_locations(visual.frame_mask, visual.cell_mask)
        cells = cells + self.location_proj(places.to(cells.dtype))
        return self.dropout(self.input_norm(cells))
