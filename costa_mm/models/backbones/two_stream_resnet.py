# Copyright (c) costa_mm authors. All rights reserved.
"""A 2D ResNet for appearance beside a video network for motion."""
from typing import Dict, Optional, Sequence, Union

from torch import Tensor, nn

from costa_mm.registry import MODELS
from .collaborative_resnet import CollaborativeResNet


@MODELS.register_module()
class TwoStreamResNet(CollaborativeResNet):
    """Two backbones that see the same frames and never meet.

    CG-STVG and TA-STVG fuse their maps with the words only in the neck, so
    both maps leave the backbone.

    Args:
        motion (dict or nn.Module): (N, 3, T, H, W) and durations to a map
            (N, C, T, h, w) on the grid of the 2D pathway, such as
            :class:`MotionSwin`.
        **kwargs: See :class:`CollaborativeResNet`; the pathways there make
            the appearance.
    """

    def __init__(self, *, motion: Union[dict, nn.Module], **kwargs) -> None:
        super().__init__(**kwargs)
        self.motion = MODELS.build(motion) if isinstance(motion,
                                                         dict) else motion

    def forward(self,
                x: Tensor,
                durations: Optional[Sequence[int]] = None
                ) -> Dict[str, Tensor]:
        """Encode videos.

        Args:
            x (Tensor): Videos (N, 3, T, H, W).
            durations (Sequence[int], optional): Valid frames of each video;
                all T by default.

        Returns:
            dict[str, Tensor]: 'features' (N, C, T, h, w) and 'motion'
            (N, C', T, h, w), zeros on padded frames.

        Raises:
            ValueError: If the two grids differ.
        """
        features = super().forward(x, durations)
        if not isinstance(features, Tensor):
            features = features[-1]
        motion = self.motion(x, durations)
        if motion.shape[2:] != features.shape[2:]:
            raise ValueError(
                'appearance and motion differ in frames, rows or columns: '
                f'{tuple(features.shape[2:])} and {tuple(motion.shape[2:])}')
        return dict(features=features, motion=motion)
