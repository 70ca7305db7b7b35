# Copyright (c) costa_mm authors. All rights reserved.
"""Video Swin transformer that keeps the number of frames."""
from contextlib import nullcontext
from typing import Optional, Sequence

import torch
import torch.nn.functional as F
from mmaction.models.backbones.swin import SwinTransformer3D
from torch import Tensor, nn

from costa_mm.registry import MODELS
from .window_attention import chunk_window_attention


@MODELS.register_module()
class MotionSwin(SwinTransformer3D):
    """mmaction2's Video Swin over frames, without strides of time.

    A patch is one frame deep, so the map of the last stage has T frames; the
    final norm is left out.  Blocks pad the frames to whole windows and do not
    mask what they padded, so a clip gives other numbers when frames are
    appended: every video runs with its own length.

    Args:
        arch (str or dict): See mmaction2.
        patch_size (Sequence[int]): Frames, rows and columns of a patch.
        frozen (bool): Never trained: no gradients, and evaluation mode, so
            that no path is dropped.
        drop_path_when_frozen (bool): Drop paths in training although nothing
            is trained, as published.
        drop_path_rate (float): Largest probability of dropping a path.
        **kwargs: See mmaction2.

    Raises:
        ValueError: If patches are deeper than one frame.
    """

    def __init__(self,
                 *,
                 arch='tiny',
                 patch_size: Sequence[int] = (1, 4, 4),
                 frozen: bool = True,
                 drop_path_when_frozen: bool = False,
                 drop_path_rate: float = 0.2,
                 **kwargs) -> None:
        if patch_size[0] != 1:
            raise ValueError('patches must be one frame deep, or time is '
                             f'shortened: patch_size={tuple(patch_size)}')
        self.frozen = frozen
        self.drop_path_when_frozen = drop_path_when_frozen
        # mmaction2 asks a tensor for numbers, which shapes without memory
        # cannot say
        device = torch.get_default_device()
        with torch.device('cpu'):
            super().__init__(
                arch=arch,
                patch_size=patch_size,
                drop_path_rate=drop_path_rate,
                **{
                    'pretrained2d': False,
                    **kwargs
                })
        self.to(device)
        chunk_window_attention(self)
        for index in self.out_indices:
            setattr(self, f'norm{index}', nn.Identity())
        if frozen:
            self.requires_grad_(False)

    @property
    def out_channels(self) -> int:
        """Channels of the last map."""
        return self.num_features[self.out_indices[-1]]

    def train(self, mode: bool = True) -> 'MotionSwin':
        """Frozen, it stays in evaluation mode."""
        super().train(mode and
                      (not self.frozen or self.drop_path_when_frozen))
        return self

    def forward(self,
                x: Tensor,
                durations: Optional[Sequence[int]] = None) -> Tensor:
        """Encode videos.

        Args:
            x (Tensor): Videos (N, 3, T, H, W).
            durations (Sequence[int], optional): Valid frames of each video;
                all T by default.

        Returns:
            Tensor: Map of the last stage, (N, C, T, h, w) with
            h = ceil(H / 32) and w = ceil(W / 32), zeros on padded frames.
        """
        with torch.no_grad() if self.frozen else nullcontext():
            if durations is None:
                return self._encode(x)
            # one after the other: the blocks' memory is that of one video
            total = x.shape[2]
            return torch.cat([
                F.pad(
                    self._encode(video[None, :, :length]),
                    (0, 0, 0, 0, 0, total - length))
                for video, length in zip(x, durations)
            ])

    def _encode(self, x: Tensor) -> Tensor:
        maps = super().forward(x)
        return maps if isinstance(maps, Tensor) else maps[-1]
