# Copyright (c) costa_mm authors. All rights reserved.
"""What the heads of TubeDETR and STCAT share beyond :class:`BaseTubeHead`."""
from typing import Dict, Optional

from torch import Tensor

from costa_mm.registry import MODELS
from costa_mm.structures import TubeOutputs
from .base_tube_head import BaseTubeHead
from .targets import TubeTargets


class GuidedTubeHead(BaseTubeHead):
    """A head with a guided attention loss on every layer.

    Args:
        loss_guided (dict, optional): Guided attention loss; None for none.
        **kwargs: Other losses, see :class:`BaseTubeHead`.
    """

    def __init__(self,
                 *,
                 loss_guided: Optional[dict] = dict(
                     type='costa_mm.GuidedAttentionLoss', loss_weight=1.),
                 **kwargs) -> None:
        super().__init__(**kwargs)
        self.loss_guided = loss_guided and MODELS.build(loss_guided)

    def needs_time_weights(self, targets: Optional[TubeTargets]) -> bool:
        """Whether somebody reads the weights of this forward pass."""
        return self.need_attention or (targets is not None
                                       and self.loss_guided is not None)

    def loss_by_feat_single(self, outs: TubeOutputs, targets: TubeTargets,
                            box_weights: Tensor,
                            layer: int) -> Dict[str, Tensor]:
        """Losses of one decoder layer."""
        losses = super().loss_by_feat_single(outs, targets, box_weights,
                                             layer)
        if self.loss_guided is not None:
            losses['loss_guided'] = self.loss_guided(
                outs.time_attention[layer], targets.in_event, outs.frame_mask,
                targets.has_span)
        return losses
