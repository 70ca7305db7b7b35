# Copyright (c) costa_mm authors. All rights reserved.
"""Attention by ``scaled_dot_product_attention``, with key-padding masks.

Weights are not materialised unless they are asked for: mmcv's
``MultiheadAttention`` and mmdet's ``ConditionalAttention`` always do.
"""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn


def _heads(x: Tensor, num_heads: int) -> Tensor:
    """(N, S, C) -> (N, heads, S, C / heads)."""
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def _valid_keys(key_mask: Optional[Tensor]) -> Optional[Tensor]:
    """(N, S) to (N, 1, 1, S), True on valid keys; None without padding."""
    if key_mask is None:
        return None
    # asking a CUDA tensor would wait for the device, and a graph cannot ask
    if key_mask.device.type == 'cpu' and not torch.compiler.is_compiling() \
            and not key_mask.any():
        return None
    return ~key_mask[:, None, None, :]


def attend(query: Tensor,
           key: Tensor,
           value: Tensor,
           key_mask: Optional[Tensor] = None,
           *,
           dropout: float = 0.,
           need_weights: bool = False) -> Tuple[Tensor, Optional[Tensor]]:
    """Attention over projected heads.

    Args:
        query (Tensor): (N, heads, Q, D).
        key (Tensor): (N, heads, S, D).
        value (Tensor): (N, heads, S, V).
        key_mask (Tensor, optional): True on padding, (N, S), bool.
        dropout (float): Probability of dropping a weight.
        need_weights (bool): Whether to return the weights as well.

    Returns:
        tuple[Tensor, Tensor or None]: (N, Q, heads * V), and the weights
        before dropout averaged over heads (N, Q, S) where asked for.  A query
        without any valid key gives zeros.
    """
    valid = _valid_keys(key_mask)
    if not need_weights:
        out = F.scaled_dot_product_attention(
            query, key, value, attn_mask=valid, dropout_p=dropout)
        return out.transpose(1, 2).flatten(2), None
    scores = query @ key.transpose(-1, -2) * query.shape[-1]**-0.5
    if valid is not None:
        scores = scores.masked_fill(~valid, float('-inf'))
    # a row without valid keys is NaN after softmax; zeros as in the fast path
    weights = scores.float().softmax(-1).nan_to_num(0.).to(value.dtype)
    out = F.dropout(weights, dropout) @ value
    return out.transpose(1, 2).flatten(2), weights.mean(1)


class MultiheadAttention(BaseModule):
    """Multi-head attention, batch first, with separate projections.

    Args:
        embed_dims (int): Channels C of all heads together.
        num_heads (int): Number of heads; divides C.
        dropout (float): Dropout of attention weights in training.
        query_dims (int, optional): Channels of queries and of the output; C
            by default.
        key_dims (int, optional): Channels of keys and values; C by default.

    Raises:
        ValueError: If ``num_heads`` does not divide ``embed_dims``.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 num_heads: int,
                 dropout: float = 0.,
                 query_dims: Optional[int] = None,
                 key_dims: Optional[int] = None) -> None:
        super().__init__()
        if embed_dims % num_heads:
            raise ValueError(f'embed_dims ({embed_dims}) must be a multiple '
                             f'of num_heads ({num_heads})')
        self.num_heads = num_heads
        self.dropout = dropout
        query_dims = query_dims or embed_dims
        key_dims = key_dims or embed_dims
        self.q_proj = nn.Linear(query_dims, embed_dims)
        self.k_proj = nn.Linear(key_dims, embed_dims)
        self.v_proj = nn.Linear(key_dims, embed_dims)
        self.out_proj = nn.Linear(embed_dims, query_dims)

    def forward(self,
                query: Tensor,
                key: Tensor,
                value: Tensor,
                key_mask: Optional[Tensor] = None,
                need_weights: bool = False
                ) -> Tuple[Tensor, Optional[Tensor]]:
        """Attend.

        Args:
            query (Tensor): (N, Q, C).
            key (Tensor): (N, S, C).
            value (Tensor): (N, S, C).
            key_mask (Tensor, optional): True on padding, (N, S), bool.
            need_weights (bool): Whether to return weights (slower).

        Returns:
            tuple[Tensor, Tensor or None]: (N, Q, C) and, where asked for, the
            weights averaged over heads, (N, Q, S).
        """
        out, weights = attend(
            _heads(self.q_proj(query), self.num_heads),
            _heads(self.k_proj(key), self.num_heads),
            _heads(self.v_proj(value), self.num_heads),
            key_mask,
            dropout=self.dropout if self.training else 0.,
            need_weights=need_weights)
        return self.out_proj(out), weights


class ConcatCrossAttention(BaseModule):
    """Cross-attention whose queries and keys are concatenations.

    Content and position are concatenated within every head (Conditional DETR,
    DAB-DETR), so scores are the sum of a content and a position product.  The
    inputs are projected by the caller; only the output is projected here.

    Args:
        embed_dims (int): Channels C of each half and of the value.
        num_heads (int): Number of heads; divides C.
        dropout (float): Dropout of attention weights in training.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 num_heads: int,
                 dropout: float = 0.) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.out_proj = nn.Linear(embed_dims, embed_dims)

    def forward(self,
                query: Tuple[Tensor, Tensor],
                key: Tuple[Tensor, Tensor],
                value: Tensor,
                key_mask: Optional[Tensor] = None,
                need_weights: bool = False
                ) -> Tuple[Tensor, Optional[Tensor]]:
        """Attend.

        Args:
            query (tuple[Tensor, Tensor]): Content and position, (N, Q, C).
            key (tuple[Tensor, Tensor]): Content and position, (N, S, C).
            value (Tensor): (N, S, C).
            key_mask (Tensor, optional): True on padding, (N, S), bool.
            need_weights (bool): Whether to return weights (slower).

        Returns:
            tuple[Tensor, Tensor or None]: (N, Q, C) and, where asked for, the
            weights averaged over heads, (N, Q, S).
        """
        both_q = torch.cat([_heads(x, self.num_heads) for x in query], -1)
        both_k = torch.cat([_heads(x, self.num_heads) for x in key], -1)
        out, weights = attend(
            both_q,
            both_k,
            _heads(value, self.num_heads),
            key_mask,
            dropout=self.dropout if self.training else 0.,
            need_weights=need_weights)
        return self.out_proj(out), weights
