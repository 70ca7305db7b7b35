# Copyright (c) costa_mm authors. All rights reserved.
"""A head without a decoder, and with an output of its own."""
from typing import Optional

from mmdet.models.layers.transformer.utils import MLP

from costa_mm.models import BaseTubeHead
from costa_mm.models.heads import TubeTargets
from costa_mm.registry import MODELS
from costa_mm.structures import FusedMemory, TubeOutputs


@MODELS.register_module()
class FrameTokenHead(BaseTubeHead):
    """Box and span straight from every frame's [CLS] token.

    It also says how sure it is of each coordinate: ``box_spread``,
    (K, B, T, 4), the logarithm of the expected error.  A head declares such an
    output, and a loss that reads it (:class:`BoxSpreadLoss`) finds it by its
    name.

    Args:
        embed_dims (int): C.
        **kwargs: Losses, see :class:`BaseTubeHead`.
    """

    layer_outputs = (*BaseTubeHead.layer_outputs, 'box_spread')

    def __init__(self, *, embed_dims: int = 256, **kwargs) -> None:
        super().__init__(**kwargs)
        self.box_head = MLP(embed_dims, embed_dims, 4, 3)
        self.spread_head = MLP(embed_dims, embed_dims, 4, 2)
        self.span_head = MLP(embed_dims, embed_dims, 2, 2)

    def forward(self,
                memory: FusedMemory,
                targets: Optional[TubeTargets] = None) -> TubeOutputs:
        """Run the layers; there is one, so K is 1."""
        tokens = memory.cls[None]  # (1, B, T, C)
        return TubeOutputs(
            boxes=self.box_head(tokens).float().sigmoid(),
            span_logits=self.span_head(tokens),
            frame_mask=memory.frame_mask,
            extras=dict(box_spread=self.spread_head(tokens)))
