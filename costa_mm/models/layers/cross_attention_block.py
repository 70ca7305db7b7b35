# Copyright (c) costa_mm authors. All rights reserved.
"""Cross-attention block in BERT's form: post-norm, GELU, narrow FFN."""
from typing import Optional, Tuple

from mmengine.model import BaseModule
from torch import Tensor, nn

from .attention import MultiheadAttention


class CrossAttentionBlock(BaseModule):
    """Queries read keys, then a feed-forward network of their own width.

    ``y = norm1(x + W_o attend(x, keys))`` and
    ``norm2(y + W_2 gelu(W_1 y))``.  CG-STVG's context step and TA-STVG's four
    classifiers have this form.

    Args:
        embed_dims (int): Channels C, of the hidden layer too.
        num_heads (int): Number of heads; divides C.
        dropout (float): Dropout of attention weights and of both outputs.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 num_heads: int,
                 dropout: float = 0.1) -> None:
        super().__init__()
        self.attn = MultiheadAttention(
            embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)
        self.norm1 = nn.LayerNorm(embed_dims, eps=1e-12)
        self.linear1 = nn.Linear(embed_dims, embed_dims)
        self.activation = nn.GELU()
        self.linear2 = nn.Linear(embed_dims, embed_dims)
        self.norm2 = nn.LayerNorm(embed_dims, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self,
                x: Tensor,
                keys: Tensor,
                key_mask: Optional[Tensor] = None,
                need_weights: bool = False
                ) -> Tuple[Tensor, Optional[Tensor]]:
        """Update the queries.

        Args:
            x (Tensor): Queries, (N, Q, C).
            keys (Tensor): Keys, which are the values too, (N, S, C).
            key_mask (Tensor, optional): True on padding, (N, S), bool.
            need_weights (bool): Whether to return weights (slower).

        Returns:
            tuple[Tensor, Tensor or None]: (N, Q, C) and, where asked for, the
            weights before dropout averaged over heads, (N, Q, S).
        """
        update, weights = self.attn(x, keys, keys, key_mask, need_weights)
        x = self.norm1(x + self.dropout(update))
        update = self.linear2(self.activation(self.linear1(x)))
        return self.norm2(x + self.dropout(update)), weights
