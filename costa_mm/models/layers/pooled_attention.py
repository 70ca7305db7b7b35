# Copyright (c) costa_mm authors. All rights reserved.
"""Attention over the means of a video's frames and cells (ST-ViLBERT).

T * S cells are too many to attend to each other.  STVGBert (ICCV 2021) lets
S + T tokens do so: every cell's mean over the frames and every frame's mean
over its cells.  What the tokens get is added to the cells that they stand for.
"""
from typing import Tuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from .attention import MultiheadAttention
from .region_pooling import masked_mean
from .transformer import FFN, TransformerEncoderLayer

#: what BERT's layers differ in from DETR's
BERT_CFG = dict(act_cfg=dict(type='GELU'), norm_eps=1e-12)


def pool_tokens(cells: Tensor, cell_mask: Tensor,
                frame_mask: Tensor) -> Tuple[Tensor, Tensor]:
    """Means over valid frames, then means over valid cells.

    Args:
        cells (Tensor): (B, T, S, C).
        cell_mask (Tensor): True on padding, (B, S), bool.
        frame_mask (Tensor): True on padding, (B, T), bool.

    Returns:
        tuple[Tensor, Tensor]: Tokens (B, S + T, C) and their mask (B, S + T).
    """
    space = masked_mean(cells, frame_mask[:, :, None], dim=1)
    time = masked_mean(cells, cell_mask[:, None], dim=2)
    return torch.cat((space, time), dim=1), torch.cat((cell_mask, frame_mask),
                                                      dim=1)


def broadcast_tokens(tokens: Tensor, num_cells: int) -> Tensor:
    """The sum of a cell's two tokens for every cell.

    Args:
        tokens (Tensor): In the order of :func:`pool_tokens`, (B, S + T, C).
        num_cells (int): S.

    Returns:
        Tensor: (B, T, S, C).
    """
    return tokens[:, None, :num_cells] + tokens[:, num_cells:, None]


class PooledEncoderLayer(TransformerEncoderLayer):
    """BERT layer over cells, whose pooled tokens attend to each other.

    Args:
        **kwargs: ``embed_dims``, ``num_heads``, ``feedforward_channels``,
            ``dropout``.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs, **BERT_CFG)

    def forward(self, cells: Tensor, cell_mask: Tensor,
                frame_mask: Tensor) -> Tensor:
        """Encode.

        Args:
            cells (Tensor): (B, T, S, C).
            cell_mask (Tensor): (B, S), bool.
            frame_mask (Tensor): (B, T), bool.

        Returns:
            Tensor: (B, T, S, C).
        """
        tokens, mask = pool_tokens(cells, cell_mask, frame_mask)
        update = self.dropout(self.self_attn(tokens, tokens, tokens, mask)[0])
        x = self.norm1(cells + broadcast_tokens(update, cells.shape[2]))
        return self.norm2(self.ffn(x))


class CrossModalLayer(BaseModule):
    """Words read the pooled tokens of the video, which read the words.

    Then an FFN each.  Both read what the other was before.

    Args:
        embed_dims (int): Channels C of the cells, and of all heads together.
        text_dims (int): Channels C_t of the words.
        num_heads (int): Heads of both attentions.
        feedforward_channels (int): Hidden channels of the cells' FFN.
        text_feedforward_channels (int): Hidden channels of the words' FFN.
        dropout (float): Dropout everywhere in the layer.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 text_dims: int,
                 num_heads: int,
                 feedforward_channels: int,
                 text_feedforward_channels: int,
                 dropout: float = 0.1) -> None:
        super().__init__()
        inner = dict(
            embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.vision_attn = MultiheadAttention(**inner, key_dims=text_dims)
        self.text_attn = MultiheadAttention(**inner, query_dims=text_dims)
        for name, dims, hidden in (('vision', embed_dims,
                                    feedforward_channels),
                                   ('text', text_dims,
                                    text_feedforward_channels)):
            ffn = FFN(
                embed_dims=dims,
                feedforward_channels=hidden,
                dropout=dropout,
                act_cfg=BERT_CFG['act_cfg'])
            self.add_module(f'{name}_ffn', ffn)
            for i in (1, 2):
                norm = nn.LayerNorm(dims, eps=BERT_CFG['norm_eps'])
                self.add_module(f'{name}_norm{i}', norm)

    def forward(self, cells: Tensor, words: Tensor, cell_mask: Tensor,
                frame_mask: Tensor,
                word_mask: Tensor) -> Tuple[Tensor, Tensor]:
        """Exchange.

        Args:
            cells (Tensor): (B, T, S, C).
            words (Tensor): (B, L, C_t).
            cell_mask (Tensor): (B, S), bool.
            frame_mask (Tensor): (B, T), bool.
            word_mask (Tensor): (B, L), bool.

        Returns:
            tuple[Tensor, Tensor]: Cells and words.
        """
        tokens, mask = pool_tokens(cells, cell_mask, frame_mask)
        seen = self.dropout(self.text_attn(words, tokens, tokens, mask)[0])
        read = self.dropout(
            self.vision_attn(tokens, words, words, word_mask)[0])
        cells = self.vision_norm1(
            cells + broadcast_tokens(read, cells.shape[2]))
        words = self.text_norm1(words + seen)
        return (self.vision_norm2(self.vision_ffn(cells)),
                self.text_norm2(self.text_ffn(words)))
