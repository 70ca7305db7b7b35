# Copyright (c) costa_mm authors. All rights reserved.
"""Context of CG-STVG (CVPR 2024): the regions of boxes that look good."""
from typing import Callable, NamedTuple, Optional, Tuple

import torch
from mmdet.models.layers.transformer.utils import MLP
from mmengine.model import BaseModule
from torch import Tensor

from costa_mm.structures import FusedMemory
from ..layers import CrossAttentionBlock, DropoutMLP, covered_cells, pool_cells
from .stcat_decoder import STCATDecoderLayer

# boxes (B, T, 4) and confidence (B, T) to the chosen frames (B, T), bool
Selection = Callable[[Tensor, Tensor], Tensor]


class Context(NamedTuple):
    """What one layer tells the next one of its boxes.

    Attributes:
        confidence (Tensor): Sum of both streams' confidences, in (0, 2),
            (B, T).
        chosen (Tensor): Frames whose regions are context, (B, T), bool.
        tokens (Tensor, optional): Appearance, then motion of every frame,
            whether chosen or not, (B, 2T, C); None after the last layer.
    """
    confidence: Tensor
    chosen: Tensor
    tokens: Optional[Tensor]


class ContextGenerator(BaseModule):
    """Regions of boxes, how good they look, and tokens of them.

    Args:
        embed_dims (int): C.
        dropout (float): Dropout of the confidence MLPs, their logits
            included.
        corners (str): See :func:`covered_cells`.
    """

    def __init__(self,
                 *,
                 embed_dims: int,
                 dropout: float = 0.3,
                 corners: str = 'round') -> None:
        super().__init__()
        self.corners = corners
        confidence = (embed_dims, embed_dims, 1, 2, dropout)
        self.appearance_confidence = DropoutMLP(*confidence)
        self.motion_confidence = DropoutMLP(*confidence)
        self.appearance_mlp = MLP(embed_dims, embed_dims, embed_dims, 2)
        self.motion_mlp = MLP(embed_dims, embed_dims, embed_dims, 2)

    def pool(self, boxes: Tensor,
             memory: FusedMemory) -> Tuple[Tensor, Tensor]:
        """Mean cell of the boxes in both streams, each (B, T, C)."""
        covered = covered_cells(
            boxes, memory.cell_mask, corners=self.corners)
        count = memory.cell_mask[0].numel()
        return (pool_cells(memory.memory[:, :, :count], covered),
                pool_cells(memory.memory[:, :, -count:], covered))

    def confidence(self, appearance: Tensor, motion: Tensor) -> Tensor:
        """Confidence in the boxes of both regions, (B, T), in (0, 2)."""
        return (self.appearance_confidence(appearance).float().sigmoid() +
                self.motion_confidence(motion).float().sigmoid()).squeeze(-1)

    def freeze_confidence(self) -> None:
        """Leave the confidence out of training."""
        self.appearance_confidence.requires_grad_(False)
        self.motion_confidence.requires_grad_(False)

    def tokens(self, appearance: Tensor, motion: Tensor) -> Tensor:
        """Context tokens of all frames, (B, 2T, C)."""
        return torch.cat(
            (self.appearance_mlp(appearance), self.motion_mlp(motion)), dim=1)

    def forward(self,
                boxes: Tensor,
                memory: FusedMemory,
                select: Selection,
                with_tokens: bool = True) -> Context:
        """Context of boxes (B, T, 4).

        Args:
            boxes (Tensor): Of a layer, detached, (B, T, 4).
            memory (FusedMemory): Of :class:`TwoStreamFusionNeck`.
            select (Callable): Which frames are chosen: boxes (B, T, 4) and
                confidence (B, T) to (B, T), bool.
            with_tokens (bool): Whether a layer follows that reads them.

        Returns:
            Context: For the next layer.
        """
        regions = self.pool(boxes, memory)
        confidence = self.confidence(*regions)
        return Context(confidence, select(boxes, confidence.detach()),
                       self.tokens(*regions) if with_tokens else None)


class ContextDecoderLayer(STCATDecoderLayer):
    """STCAT's layer that reads context between its two attentions.

    The first layer of a decoder has no context, so it is never of this kind.

    Args:
        embed_dims (int): C.
        num_heads (int): Number of heads.
        dropout (float): Dropout everywhere in the layer.
        **kwargs: See :class:`AnchorDecoderLayer`.
    """

    def __init__(self, *, embed_dims: int, num_heads: int, dropout: float,
                 **kwargs) -> None:
        super().__init__(
            embed_dims=embed_dims,
            first=False,
            num_heads=num_heads,
            dropout=dropout,
            **kwargs)
        self.context_block = CrossAttentionBlock(
            embed_dims=embed_dims, num_heads=num_heads, dropout=dropout)

    def forward(
        self,
        content: Tensor,
        pos: Tensor,
        sine: Tensor,
        memory: FusedMemory,
        need_weights: bool = False,
        context: Optional[Context] = None
    ) -> Tuple[Tensor, Optional[Tensor]]:
        """Update the content stream; see :class:`AnchorDecoderLayer`."""
        content = self.exchange(content, pos, memory)
        if context is not None:
            content = self.refine(content, context)
        return self.read(content, pos, sine, memory, need_weights)

    def refine(self, content: Tensor, context: Context) -> Tensor:
        """Every frame reads the chosen regions of its whole video.

        A video without a chosen frame stays as it is.

        Args:
            content (Tensor): (B, T, C).
            context (Context): Of the layer before.

        Returns:
            Tensor: (B, T, C).
        """
        some = context.chosen.any(1)  # (B, )
        # without any key attention has no value; its result is not used
        key_mask = ~context.chosen & some[:, None]
        refined, _ = self.context_block(content, context.tokens,
                                        key_mask.repeat(1, 2))
        return torch.where(some[:, None, None], refined, content)
