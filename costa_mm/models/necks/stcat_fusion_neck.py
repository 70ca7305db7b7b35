# Copyright (c) costa_mm authors. All rights reserved.
"""Encoder of STCAT (NeurIPS 2022): local tokens and a global one."""
from typing import Dict

import torch
from torch import Tensor, nn

from costa_mm.registry import MODELS
from .space_time_fusion_neck import SpaceTimeFusionNeck


@MODELS.register_module()
class STCATFusionNeck(SpaceTimeFusionNeck):
    """CoSTA's rounds with one more token per video.

    STCAT calls the frames' [CLS] tokens local and the video's token global.
    The global token leads the sequence of the temporal layers, at time 0, the
    frames are at 1 to T; it is kept from round to round and goes to the head
    as the extra ``video_cls``, (B, C).

    Args:
        **kwargs: See :class:`SpaceTimeFusionNeck`.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.video_token = nn.Parameter(torch.zeros(self.embed_dims))

    def init_weights(self) -> None:
        """As CoSTA's; normal for the global token."""
        super().init_weights()
        nn.init.normal_(self.video_token, std=0.02)

    def video_tokens(self, num: int) -> Tensor:
        """The global token of every video, (B, 1, C)."""
        return self.video_token.expand(num, 1, -1)

    def video_extras(self, videos: Tensor) -> Dict[str, Tensor]:
        """The global token after the last round."""
        return dict(video_cls=videos[:, 0])
