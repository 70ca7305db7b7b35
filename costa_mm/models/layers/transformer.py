# Copyright (c) costa_mm authors. All rights reserved.
"""Post-norm transformer layers in the form that DETR gave them."""
from typing import Optional, Tuple, Union

from mmcv.cnn.bricks.transformer import FFN as MMCVFFN
from mmengine.model import BaseModule
from torch import Tensor, nn

from .attention import MultiheadAttention

# in place on a linear layer's output, which is a view, the backward pass would
# copy the gradient twice
_RELU = dict(type='ReLU', inplace=False)


def frame_key_mask(mask: Tensor, num_frames: int) -> Tensor:
    """Mask of a video's tokens for each of its frames.

    Args:
        mask (Tensor): (B, S), bool, True on padding.
        num_frames (int): T.

    Returns:
        Tensor: (B * T, S).
    """
    return mask[:, None].expand(-1, num_frames, -1).flatten(0, 1)


class FFN(MMCVFFN):
    """Two linear layers, an activation, dropout and the residual (mmcv's FFN).

    Args:
        embed_dims (int): Channels C.
        feedforward_channels (int): Hidden channels.
        dropout (float): Dropout after both layers.
        act_cfg (dict): Config of the activation.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 feedforward_channels: int,
                 dropout: float = 0.,
                 act_cfg: dict = _RELU) -> None:
        super().__init__(
            embed_dims=embed_dims,
            feedforward_channels=feedforward_channels,
            num_fcs=2,
            act_cfg=act_cfg,
            ffn_drop=dropout)


class TransformerEncoderLayer(BaseModule):
    """Self-attention and FFN, post-norm; positions go to query and key.

    Args:
        embed_dims (int): Channels C.
        num_heads (int): Number of heads.
        feedforward_channels (int): Hidden channels of the FFN.
        dropout (float): Dropout everywhere in the layer.
        act_cfg (dict): Activation of the FFN.
        norm_eps (float): Epsilon of the norms.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 num_heads: int,
                 feedforward_channels: int,
                 dropout: float = 0.1,
                 act_cfg: dict = _RELU,
                 norm_eps: float = 1e-5) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(
            embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm1 = nn.LayerNorm(embed_dims, eps=norm_eps)
        self.ffn = FFN(
            embed_dims=embed_dims,
            feedforward_channels=feedforward_channels,
            dropout=dropout,
            act_cfg=act_cfg)
        self.norm2 = nn.LayerNorm(embed_dims, eps=norm_eps)

    def forward(self, x: Tensor, pos: Union[Tensor, float],
                key_mask: Tensor) -> Tensor:
        """Encode.

        Args:
            x (Tensor): Tokens, (N, S, C).
            pos (Tensor or float): Their positions, broadcastable to
                (N, S, C); 0 for none.
            key_mask (Tensor): True on padding, (N, S), bool.

        Returns:
            Tensor: (N, S, C).
        """
        qk = x + pos
        x = self.norm1(x + self.dropout(
            self.self_attn(qk, qk, x, key_mask)[0]))
        return self.norm2(self.ffn(x))


class CrossFrameLayer(BaseModule):
    """Decoder layer with one query per frame.

    Queries of a video exchange information over time (inter-frame
    self-attention), then each one reads the memory of its own frame only
    (intra-frame cross-attention), then the FFN.  Post-norm.

    Args:
        embed_dims (int): Channels C.
        num_heads (int): Number of heads.
        feedforward_channels (int): Hidden channels of the FFN.
        dropout (float): Dropout everywhere in the layer.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 num_heads: int,
                 feedforward_channels: int,
                 dropout: float = 0.1) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(
            embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)
        self.norm1 = nn.LayerNorm(embed_dims)
        self.cross_attn = MultiheadAttention(
            embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)
        self.norm2 = nn.LayerNorm(embed_dims)
        self.ffn = FFN(
            embed_dims=embed_dims,
            feedforward_channels=feedforward_channels,
            dropout=dropout)
        self.norm3 = nn.LayerNorm(embed_dims)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        *,
        self_pos: Tensor,
        cross_pos: Optional[Tensor],
        memory: Tensor,
        memory_key: Tensor,
        memory_mask: Tensor,
        frame_mask: Tensor,
        need_weights: bool = False,
        need_time_weights: bool = False
    ) -> Tuple[Tensor, Optional[Tensor], Optional[Tensor]]:
        """Decode.

        Args:
            x (Tensor): Queries, (B, T, C).
            self_pos (Tensor): Added to query and key of the self-attention,
                broadcastable to (B, T, C).
            cross_pos (Tensor, optional): Added to the query of the
                cross-attention.
            memory (Tensor): (B, T, S, C).
            memory_key (Tensor): Memory plus its positions, (B, T, S, C).
            memory_mask (Tensor): (B, S), bool, True on padding.
            frame_mask (Tensor): (B, T), bool, True on padding.
            need_weights (bool): Whether to return attention weights.
            need_time_weights (bool): Whether to return those of the
                self-attention, whatever ``need_weights`` says.

        Returns:
            tuple: Queries (B, T, C); self-attention weights (B, T, T) and
            cross-attention weights (B, T, S), each None unless asked for.
        """
        qk = x + self_pos
        update, time_w = self.self_attn(qk, qk, x, frame_mask, need_weights
                                        or need_time_weights)
        x = self.norm1(x + self.dropout(update))
        query = x if cross_pos is None else x + cross_pos
        num_frames = x.shape[1]
        update, cell_w = self.cross_attn(
            query.flatten(0, 1)[:, None],  # (B*T, 1, C)
            memory_key.flatten(0, 1),
            memory.flatten(0, 1),
            frame_key_mask(memory_mask, num_frames),
            need_weights)
        update = update.squeeze(1).unflatten(0, (-1, num_frames))
        x = self.norm2(x + self.dropout(update))
        x = self.norm3(self.ffn(x))
        if cell_w is not None:
            cell_w = cell_w.squeeze(1).unflatten(0, (-1, num_frames))
        return x, time_w, cell_w
