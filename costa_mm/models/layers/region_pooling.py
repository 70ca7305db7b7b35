# Copyright (c) costa_mm authors. All rights reserved.
"""Means over what is not padded, and over the cells that a box covers."""
from typing import Tuple

import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor

CORNERS = ('round', 'ceil_right')


def masked_mean(x: Tensor, mask: Tensor, dim: int) -> Tensor:
    """Mean over the entries of one dimension that are not masked.

    Args:
        x (Tensor): (..., N, ..., C).
        mask (Tensor): True on padding, broadcastable to ``x`` without C.
        dim (int): Which dimension is averaged.

    Returns:
        Tensor: ``x`` without this dimension; zeros where all is masked.
    """
    valid = (~mask)[..., None].to(x.dtype)
    return (x * valid).sum(dim) / valid.sum(dim).clamp(min=1)


def grid_size(cell_mask: Tensor) -> Tuple[Tensor, Tensor]:
    """Valid rows and columns of every grid.

    Args:
        cell_mask (Tensor): True on padding, which lies below and to the
            right, (B, h, w), bool.

    Returns:
        tuple[Tensor, Tensor]: Height and width in cells, each (B, ), int64.
    """
    return (~cell_mask[:, :, 0]).sum(1), (~cell_mask[:, 0]).sum(1)


def covered_cells(boxes: Tensor,
                  cell_mask: Tensor,
                  *,
                  corners: str = 'round') -> Tensor:
    """Which cells a box covers after its corners went to cell borders.

    Corners are clamped at 0 and scaled to the valid grid, then rounded, half
    to even.  A box that covers nothing, or lies outside, gets the cell at its
    lower right corner or the nearest one.

    Args:
        boxes (Tensor): Normalised (cx, cy, w, h), (B, T, 4).
        cell_mask (Tensor): True on padding, (B, h, w), bool.
        corners (str): 'round' rounds all four; 'ceil_right' takes the right
            border upwards and rounds the others, as CG-STVG was published,
            so that regions are wider to the right.

    Returns:
        Tensor: (B, T, h, w), bool, at least one cell per box.

    Raises:
        ValueError: For an unknown ``corners``.
    """
    if corners not in CORNERS:
        raise ValueError(f'corners {corners!r} is none of {CORNERS}')
    rows, columns = (n.view(-1, 1).float() for n in grid_size(cell_mask))
    left, top, right, bottom = bbox_cxcywh_to_xyxy(
        boxes.float()).clamp(min=0).unbind(-1)  # each (B, T)
    right = right * columns
    right = right.ceil() if corners == 'ceil_right' else right.round()
    right = torch.minimum(right.clamp(min=1), columns)
    left = torch.minimum((left * columns).round(), right - 1)
    bottom = torch.minimum((bottom * rows).round().clamp(min=1), rows)
    top = torch.minimum((top * rows).round(), bottom - 1)
    y = torch.arange(cell_mask.shape[1], device=boxes.device)
    x = torch.arange(cell_mask.shape[2], device=boxes.device)
    in_rows = (y >= top[..., None]) & (y < bottom[..., None])  # (B, T, h)
    in_columns = (x >= left[..., None]) & (x < right[..., None])  # (B, T, w)
    return in_rows[..., None] & in_columns[..., None, :]


def pool_cells(cells: Tensor, covered: Tensor) -> Tensor:
    """Plain mean of the covered cells.

    Args:
        cells (Tensor): Row by row, (B, T, h*w, C).
        covered (Tensor): (B, T, h, w) or (B, T, h*w), bool.

    Returns:
        Tensor: (B, T, C).
    """
    weight = covered.flatten(2).to(cells.dtype)
    weight = weight / weight.sum(-1, keepdim=True)
    return (weight[..., None, :] @ cells).squeeze(-2)


def sample_regions(cells: Tensor, boxes: Tensor, cell_mask: Tensor,
                   num: int) -> Tensor:
    """Mean of bilinear samples inside boxes; no compiled op.

    RoIAlign (aligned, He et al. 2017) averaged over its bins, but that samples
    stay within the valid grid, so that padding is never read.

    Args:
        cells (Tensor): Row by row, (B, T, h*w, C).
        boxes (Tensor): (x1, y1, x2, y2) in cells, (B, T, P, 4).
        cell_mask (Tensor): True on padding, (B, h, w), bool.
        num (int): Samples per side of a box.

    Returns:
        Tensor: (B, T, P, C).
    """
    height, width = cell_mask.shape[1:]
    rows, columns = (n.view(-1, 1, 1, 1) for n in grid_size(cell_mask))
    at = (torch.arange(num, device=boxes.device) + 0.5) / num
    x1, y1, x2, y2 = boxes.to(cells.dtype)[..., None].unbind(-2)
    x = x1 + (x2 - x1) * at  # (B, T, P, num)
    y = y1 + (y2 - y1) * at
    x = torch.minimum(x.clamp(min=0.5), columns - 0.5) * (2 / width) - 1
    y = torch.minimum(y.clamp(min=0.5), rows - 0.5) * (2 / height) - 1
    grid = torch.stack(
        torch.broadcast_tensors(x[..., None, :], y[..., :, None]), dim=-1)
    maps = cells.transpose(2, 3).unflatten(3, (height, width))
    found = F.grid_sample(
        maps.flatten(0, 1), grid.flatten(2, 3).flatten(0, 1),
        align_corners=False)  # (B*T, C, P*num, num)
    found = found.unflatten(2, (boxes.shape[2], num)).mean((3, 4))
    return found.transpose(1, 2).unflatten(0, boxes.shape[:2])
