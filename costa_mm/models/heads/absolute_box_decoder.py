# Copyright (c) costa_mm authors. All rights reserved.
"""Spatial decoder that CG-STVG and TA-STVG share."""
from typing import NamedTuple, Optional, Sequence, Tuple

import torch
from mmdet.models.layers.transformer.utils import MLP
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from costa_mm.structures import FusedMemory
from ..layers import box_sine_embedding, prior_bias
from .context import ContextDecoderLayer, ContextGenerator, Selection
from .stcat_decoder import STCATDecoderLayer


class FrameAnchor(BaseModule):
    """First anchor of every frame, from the frame's vector c_t.

    a = sigmoid(norm(relu(W dropout(norm(c_t)))))

    Args:
        embed_dims (int): C.
        dropout (float): Dropout before the linear layer.
        prior (Sequence[float], optional): (cx, cy, w, h) of all anchors
            before training, normalised; spread at random by default.

    Raises:
        ValueError: If the prior has not 4 numbers.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 dropout: float = 0.1,
                 prior: Optional[Sequence[float]] = None) -> None:
        super().__init__()
        if prior is not None and len(prior) != 4:
            raise ValueError(f'prior needs 4 numbers: {prior}')
        self.prior = prior
        self.norm_in = nn.LayerNorm(embed_dims, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(embed_dims, 4)
        self.norm_out = nn.LayerNorm(4, eps=1e-12)

    def init_weights(self) -> None:
        """Xavier; with a prior, all anchors on it."""
        super().init_weights()
        nn.init.xavier_uniform_(self.linear.weight)
        if self.prior is not None:
            nn.init.zeros_(self.norm_out.weight)
            prior_bias(self.norm_out.bias, self.prior)

    def logits(self, cls: Tensor) -> Tensor:
        """Anchors before the sigmoid, (B, T, 4), of c (B, T, C)."""
        hidden = self.linear(self.dropout(self.norm_in(cls)))
        # 1e-12 is no number of 16 bits
        with torch.autocast(cls.device.type, enabled=False):
            return self.norm_out(hidden.float().relu())

    def forward(self, cls: Tensor) -> Tensor:
        """c (B, T, C) to normalised (cx, cy, w, h), (B, T, 4), float32."""
        return self.logits(cls).sigmoid()


class AbsoluteBoxOutputs(NamedTuple):
    """Output of :class:`AbsoluteBoxDecoder`.

    Attributes:
        boxes (Tensor): (K, B, T, 4), normalised (cx, cy, w, h).
        references (Tensor): What each layer started from, (K, B, T, 4).
        attention (Tensor, optional): Cross-attention weights over the memory,
            mean over heads, (K, B, T, S), where asked for.
        confidence (Tensor, optional): Confidence in the boxes, (K, B, T), in
            (0, 2), with context only.
        chosen (Tensor, optional): Frames whose regions are context for the
            next layer, (K, B, T), bool, with context only.
    """
    boxes: Tensor
    references: Tensor
    attention: Optional[Tensor]
    confidence: Optional[Tensor] = None
    chosen: Optional[Tensor] = None


class AbsoluteBoxDecoder(BaseModule):
    """STCAT's layers, each of which says its boxes anew.

    With x_l the output of layer l, box_l = sigmoid(MLP(x_l)): no sum with the
    layer's anchor, as STCAT has it.  The next layer's anchor is box_l,
    detached; the first anchor is not detached.

    With ``context`` every layer but the last chooses frames whose regions the
    next one reads (CG-STVG).

    Args:
        embed_dims (int): C.
        num_layers (int): K.
        context (dict, optional): Options of :class:`ContextGenerator`.
        box_prior (Sequence[float], optional): (cx, cy, w, h) of all boxes
            before training, normalised.
        **kwargs: See :class:`AnchorDecoderLayer`.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 num_layers: int,
                 context: Optional[dict] = None,
                 box_prior: Optional[Sequence[float]] = None,
                 **kwargs) -> None:
        super().__init__()
        self.embed_dims = embed_dims
        self.box_prior = box_prior
        kwargs['embed_dims'] = embed_dims
        self.layers = ModuleList([STCATDecoderLayer(first=True, **kwargs)])
        for _ in range(num_layers - 1):
            self.layers.append(
                STCATDecoderLayer(first=False, **kwargs) if context is None
                else ContextDecoderLayer(**kwargs))
        self.context = None if context is None else ContextGenerator(
            embed_dims=embed_dims, **context)
        self.pos_mlp = MLP(2 * embed_dims, embed_dims, embed_dims, 2)
        self.query_scale = MLP(embed_dims, embed_dims, embed_dims, 2)
        self.box_head = MLP(embed_dims, embed_dims, 4, 3)

    def init_weights(self) -> None:
        """Xavier for every matrix but those of the box head."""
        super().init_weights()
        own = {id(p) for p in self.box_head.parameters()}
        for param in self.parameters():
            if param.dim() > 1 and id(param) not in own:
                nn.init.xavier_uniform_(param)
        if self.box_prior is not None:
            last = self.box_head.layers[-1]
            nn.init.zeros_(last.weight)
            prior_bias(last.bias, self.box_prior)

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
                content: Optional[Tensor] = None,
                select: Optional[Selection] = None,
                need_weights: bool = False) -> AbsoluteBoxOutputs:
        """Decode.

        Args:
            anchors (Tensor): First anchors, (B, T, 4).
            memory (FusedMemory): What the layers read.
            content (Tensor, optional): What the first layer refines,
                (B, T, C); zeros by default.
            select (Callable, optional): With context, which frames of a layer
                are chosen: boxes (B, T, 4) and confidence (B, T) to (B, T),
                bool.
            need_weights (bool): Whether to return attention weights.

        Returns:
            AbsoluteBoxOutputs: Of all layers.
        """
        x = memory.memory.new_zeros(
            *anchors.shape[:2],
            self.embed_dims) if content is None else content
        boxes, references, maps, contexts = [], [], [], []
        for i, layer in enumerate(self.layers):
            pos, sine = self.embed(anchors, x, i)
            x, weights = layer(x, pos, sine, memory, need_weights,
                               *contexts[-1:])
            boxes.append(self.box_head(x).float().sigmoid())
            references.append(anchors)
            maps.append(weights)
            anchors = boxes[-1].detach()
            if self.context is not None:
                last = i == len(self.layers) - 1
                contexts.append(
                    self.context(anchors, memory, select, not last))
        return AbsoluteBoxOutputs(
            torch.stack(boxes), torch.stack(references),
            torch.stack(maps) if need_weights else None,
            *(torch.stack(x) for x in list(zip(*contexts))[:2]))
