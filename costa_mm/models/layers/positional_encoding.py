# Copyright (c) costa_mm authors. All rights reserved.
"""Sine embeddings of time, of grid cells and of boxes."""
import torch
from mmdet.models.layers import SinePositionalEncoding
from mmdet.models.layers.transformer.utils import coordinate_to_encoding
from torch import Tensor


def time_sine_embedding(length: int,
                        channels: int,
                        *,
                        device: torch.device = None,
                        temperature: float = 10000.) -> Tensor:
    """PE(i) of Eq. (2) and Eq. (4): 1D sine embedding of the frame number.

    Sine and cosine alternate over the channels (Vaswani et al. 2017).

    Args:
        length (int): Number of positions, counted from 0.
        channels (int): Even number of channels C.
        device (torch.device, optional): Where to put it.
        temperature (float): Longest wavelength over 2 pi.

    Returns:
        Tensor: (length, C), float32.

    Raises:
        ValueError: If ``channels`` is odd.
    """
    if channels % 2:
        raise ValueError(f'channels must be even, got {channels}')
    position = torch.arange(length, dtype=torch.float32, device=device)
    even = torch.arange(0, channels, 2, dtype=torch.float32, device=device)
    angle = position[:, None] / temperature**(even / channels)
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)


def grid_sine_embedding(cell_mask: Tensor, channels: int) -> Tensor:
    """2D sine embedding of grid cells, normalised by the valid extent.

    As in DETR: cumulative counts of valid cells, divided by their last value
    and scaled to 2 pi; the first half of the channels is y, the second x.

    Args:
        cell_mask (Tensor): True on padding, (B, h, w), bool.
        channels (int): Number of channels C, a multiple of 4.

    Returns:
        Tensor: (B, h, w, C), float32.

    Raises:
        ValueError: If ``channels`` is not a multiple of 4.
    """
    if channels % 4:
        raise ValueError(f'channels must be a multiple of 4, got {channels}')
    encode = SinePositionalEncoding(num_feats=channels // 2, normalize=True)
    return encode(cell_mask).permute(0, 2, 3, 1)  # (B, C, h, w) -> C last


def box_sine_embedding(boxes: Tensor, channels: int) -> Tensor:
    """SE of Eq. (5): sine embedding of normalised points or boxes.

    Args:
        boxes (Tensor): (..., 2) as (x, y) or (..., 4) as (cx, cy, w, h),
            normalised to [0, 1].
        channels (int): Channels per pair of coordinates C, a multiple of 4.

    Returns:
        Tensor: (..., C) as (y, x) for points or (..., 2C) as (y, x, w, h) for
        boxes, C / 2 channels per coordinate, float32.

    Raises:
        ValueError: If the last dimension is neither 2 nor 4, or ``channels``
            is not a multiple of 4.
    """
    if boxes.shape[-1] not in (2, 4):
        raise ValueError('expected points (..., 2) or boxes (..., 4), got '
                         f'{tuple(boxes.shape)}')
    if channels % 4:
        raise ValueError(f'channels must be a multiple of 4, got {channels}')
    # mmdet's function is right for three dimensions only
    flat = boxes.float().reshape(1, -1, boxes.shape[-1])
    encoded = coordinate_to_encoding(flat, num_feats=channels // 2)
    return encoded.reshape(*boxes.shape[:-1], encoded.shape[-1])
