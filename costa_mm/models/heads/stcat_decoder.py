# Copyright (c) costa_mm authors. All rights reserved.
"""Template generator and spatial decoder of STCAT (NeurIPS 2022)."""
from typing import NamedTuple, Optional, Sequence, Tuple

import torch
from mmdet.models.layers.transformer.utils import MLP
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from costa_mm.structures import FusedMemory
from ..layers import (AnchorDecoderLayer, box_sine_embedding, prior_bias,
                      refine_anchor, time_sine_embedding, xavier_matrices)
from .spatial_decoder import SpatialOutputs


class Template(NamedTuple):
    """What STCAT hands from its encoder to both decoders.

    Attributes:
        content (Tensor): Content query, one per video, (B, C).
        anchors (Tensor): Normalised (cx, cy, w, h) of every frame,
            (B, T, 4), float32.
    """
    content: Tensor
    anchors: Tensor


class TemplateGenerator(BaseModule):
    """Content of the queries from the global token, anchors from both.

    anchor_i = sigmoid(W(tanh(W_g v) * c_i + tanh(W_b v))), with v the video's
    and c_i the frame's token.

    Args:
        embed_dims (int): C.
        prior (Sequence[float], optional): (cx, cy, w, h) of all anchors
            before training, normalised; spread at random by default.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 prior: Optional[Sequence[float]] = None) -> None:
        super().__init__()
        if prior is not None and len(prior) != 4:
            raise ValueError(f'prior needs 4 numbers: {prior}')
        self.prior = prior
        self.content_proj = nn.Linear(embed_dims, embed_dims)
        self.gamma_proj = nn.Linear(embed_dims, embed_dims)
        self.beta_proj = nn.Linear(embed_dims, embed_dims)
        self.anchor_proj = nn.Linear(embed_dims, 4)

    def init_weights(self) -> None:
        """Put all anchors on the prior, where there is one."""
        super().init_weights()
        if self.prior is not None:
            nn.init.zeros_(self.anchor_proj.weight)
            prior_bias(self.anchor_proj.bias, self.prior)

    def forward(self, cls: Tensor, video_cls: Tensor) -> Template:
        """Local tokens (B, T, C) and global token (B, C) to a template."""
        gamma = self.gamma_proj(video_cls).tanh()[:, None]
        beta = self.beta_proj(video_cls).tanh()[:, None]
        logits = self.anchor_proj(gamma * cls + beta)
        return Template(
            self.content_proj(video_cls), logits.float().sigmoid())


class STCATDecoderLayer(AnchorDecoderLayer):
    """CoSTA's layer with time in the self-attention.

    In the first layer, content and position are also added before they are
    concatenated (Conditional DETR).

    Args:
        embed_dims (int): C.
        first (bool): Whether it is the first layer.
        **kwargs: See :class:`AnchorDecoderLayer`.
    """

    def __init__(self, *, embed_dims: int, first: bool, **kwargs) -> None:
        super().__init__(embed_dims=embed_dims, **kwargs)
        self.self_query_time = nn.Linear(embed_dims, embed_dims)
        self.self_key_time = nn.Linear(embed_dims, embed_dims)
        self.query_pos = nn.Linear(embed_dims, embed_dims) if first else None

    def self_inputs(self, content: Tensor,
                    pos: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Query, key and value of the self-attention, each (B, T, C)."""
        query, key, value = super().self_inputs(content, pos)
        time = time_sine_embedding(
            content.shape[1], content.shape[2], device=content.device)
        time = time.to(content.dtype)
        return (query + self.self_query_time(time),
                key + self.self_key_time(time), value)

    def cross_content(self, content: Tensor, pos: Tensor, memory_key: Tensor,
                      key_pos: Tensor) -> Tuple[Tensor, Tensor]:
        """Content halves of the cross-attention's query and key."""
        query, key = super().cross_content(content, pos, memory_key, key_pos)
        if self.query_pos is None:
            return query, key
        return query + self.query_pos(pos), key + key_pos


class STCATSpatialDecoder(BaseModule):
    """Layers that refine one anchor per frame, with one shared box MLP.

    With o_l the output of layer l, box_l = sigmoid(MLP(norm(o_l)) +
    logit(a_l)) and a_{l+1} = sigmoid(MLP(o_l) + logit(a_l)).  Layers read
    anchors detached, but box_{l+1} does not, so that its loss reaches layer l
    (look forward twice).  The first anchor is never detached.

    Args:
        embed_dims (int): C.
        num_layers (int): K.
        **kwargs: See :class:`AnchorDecoderLayer`.
    """

    def __init__(self, *, embed_dims: int, num_layers: int,
                 **kwargs) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.layers = ModuleList(
            STCATDecoderLayer(embed_dims=embed_dims, first=i == 0, **kwargs)
            for i in range(num_layers))
        self.norm = nn.LayerNorm(embed_dims)
        self.pos_mlp = MLP(2 * embed_dims, embed_dims, embed_dims, 2)
        self.query_scale = MLP(embed_dims, embed_dims, embed_dims, 2)
        self.box_head = MLP(embed_dims, embed_dims, 4, 3)

    def init_weights(self) -> None:
        """Xavier for every matrix; boxes begin equal to their anchors."""
        super().init_weights()
        xavier_matrices(self)
        nn.init.zeros_(self.box_head.layers[-1].weight)
        nn.init.zeros_(self.box_head.layers[-1].bias)

    def embed(self, anchors: Tensor, content: Tensor,
              layer: int) -> Tuple[Tensor, Tensor]:
        """Positional query and its sine part, both (B, T, C)."""
        sine = box_sine_embedding(anchors, self.embed_dims).to(content.dtype)
        centre = sine[..., :self.embed_dims]
        if layer > 0:
            centre = centre * self.query_scale(content)
        return self.pos_mlp(sine), centre

    def forward(self,
                anchors: Tensor,
                memory: FusedMemory,
                need_weights: bool = False) -> SpatialOutputs:
        """Decode.

        Args:
            anchors (Tensor): First anchors, (B, T, 4).
            memory (FusedMemory): Output of the neck.
            need_weights (bool): Whether to return attention weights.

        Returns:
            SpatialOutputs: Boxes of all layers.
        """
        x = memory.memory.new_zeros(*anchors.shape[:2], self.embed_dims)
        boxes, references, maps = [], [], []
        seen = anchors  # by the layers; `anchors` by the boxes
        for i, layer in enumerate(self.layers):
            pos, sine = self.embed(seen, x, i)
            x, weights = layer(x, pos, sine, memory, need_weights)
            boxes.append(refine_anchor(self.box_head(self.norm(x)), anchors))
            references.append(anchors)
            maps.append(weights)
            anchors = refine_anchor(self.box_head(x), seen)
            seen = anchors.detach()
        return SpatialOutputs(
            torch.stack(boxes), torch.stack(references),
            torch.stack(maps) if need_weights else None)
