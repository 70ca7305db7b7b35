# Copyright (c) costa_mm authors. All rights reserved.
"""Normalises and pads videos, on the device."""
from typing import List, Sequence

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from costa_mm.registry import MODELS
from costa_mm.structures import VideoBatch


@MODELS.register_module()
class STVGDataPreprocessor(BaseDataPreprocessor):
    """Move a batch to the device, normalise it, pad it in time and space.

    Padding happens here and nowhere else; all later stages use the masks.

    Args:
        mean (Sequence[float]): Mean of R, G, B in [0, 255] (ImageNet's).
        std (Sequence[float]): Standard deviation of R, G, B.
        pad_size_divisor (int): Height and width are padded to multiples.
        non_blocking (bool): Whether the host goes on while frames are copied;
            from pinned memory (``pin_memory`` of the data loader) it really
            does.

    Raises:
        ValueError: If a video is not (T, 3, H, W).
    """

    def __init__(self,
                 *,
                 mean: Sequence[float] = (123.675, 116.28, 103.53),
                 std: Sequence[float] = (58.395, 57.12, 57.375),
                 pad_size_divisor: int = 32,
                 non_blocking: bool = True) -> None:
        super().__init__(non_blocking=non_blocking)
        self.pad_size_divisor = pad_size_divisor
        for name, value in (('mean', mean), ('std', std)):
            value = torch.tensor(value, dtype=torch.get_default_dtype())
            self.register_buffer(
                name, value.view(1, 3, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare a batch.

        Args:
            data (dict): 'inputs', a list of B uint8 videos (T, 3, H, W) in
                RGB, and 'data_samples', a list of B samples; what they have
                as ``video_inputs`` becomes the batch's ``extras``.
            training (bool): Unused.

        Returns:
            dict: 'inputs' (:obj:`VideoBatch`, on the model's device) and
            'data_samples'.  The samples stay where they are: heads gather
            their targets on the CPU and move them in one piece, which no
            kernel has to wait for.
        """
        inputs = self.stack(self.cast_data(data['inputs']))
        samples = data.get('data_samples')
        found = [s.video_inputs for s in samples or () if 'video_inputs' in s]
        if found:
            inputs = inputs._replace(
                extras={key: self.pad([one[key] for one in found])
                        for key in found[0]})
        return dict(inputs=inputs, data_samples=samples)

    def pad(self, arrays: List[Tensor]) -> Tensor:
        """Stack tensors of one number of dimensions, zeros behind the ends.

        Args:
            arrays (list[Tensor]): B tensors, (T, ...).

        Returns:
            Tensor: (B, T, ...), every dimension as long as the longest.
        """
        shape = [max(sizes) for sizes in zip(*(a.shape for a in arrays))]
        out = arrays[0].new_zeros(len(arrays), *shape)
        for row, array in zip(out, arrays):
            row[tuple(slice(size) for size in array.shape)] = array
        return self.cast_data(out)

    def stack(self, videos: List[Tensor]) -> VideoBatch:
        """Pad B videos (T, 3, H, W), uint8, to one batch."""
        for i, video in enumerate(videos):
            if video.dim() != 4 or video.shape[1] != 3:
                raise ValueError(f'video {i} of the batch is not (T, 3, H, W)'
                                 f' but {tuple(video.shape)}')
        durations = tuple(len(v) for v in videos)
        div = self.pad_size_divisor
        height, width = (
            -(-max(v.shape[d] for v in videos) // div) * div for d in (2, 3))
        frames = self.mean.new_zeros(
            len(videos), max(durations), 3, height, width)
        frame_mask = torch.ones(
            frames.shape[:2], dtype=torch.bool, device=frames.device)
        pixel_mask = torch.ones(
            len(videos), height, width, dtype=torch.bool,
            device=frames.device)
        for i, video in enumerate(videos):
            t, _, h, w = video.shape
            frames[i, :t, :, :h, :w] = (video.float() - self.mean) / self.std
            frame_mask[i, :t] = False
            pixel_mask[i, :h, :w] = False
        return VideoBatch(frames, durations, frame_mask, pixel_mask)
