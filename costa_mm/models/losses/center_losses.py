# Copyright (c) costa_mm authors. All rights reserved.
"""Losses of a heatmap of centres and of what is read at a centre."""
from mmdet.models.losses import GaussianFocalLoss
from mmdet.models.losses.gaussian_focal_loss import gaussian_focal_loss
from torch import Tensor, nn

from costa_mm.registry import MODELS


def at_centers(maps: Tensor, centers: Tensor) -> Tensor:
    """Values of maps at one cell per frame.

    Args:
        maps (Tensor): (B, T, C, H, W).
        centers (Tensor): Numbers of cells, row by row, (B, T), int64.

    Returns:
        Tensor: (B, T, C).
    """
    index = centers[..., None, None].expand(-1, -1, maps.shape[2], -1)
    return maps.flatten(3).gather(3, index).squeeze(3)


@MODELS.register_module()
class CenterHeatmapLoss(GaussianFocalLoss):
    """mmdet's focal loss of a Gaussian, summed over a frame's cells.

    Frames are weighted as boxes are, so frames without a box count nothing.

    Args:
        alpha (float): Power of the prediction.
        gamma (float): Power of one minus the target.
        loss_weight (float): Factor.
    """

    reads = ('heatmap', 'targets.heatmap', 'box_weights')

    def forward(self, heatmap: Tensor, target: Tensor,
                box_weights: Tensor) -> Tensor:
        """Logits and Gaussians (B, T, H, W), weights (B, T), to a scalar."""
        loss = gaussian_focal_loss(
            heatmap.float().sigmoid(),
            target,
            alpha=self.alpha,
            gamma=self.gamma,
            reduction='none')
        return self.loss_weight * (loss.sum((2, 3)) * box_weights).sum()


@MODELS.register_module()
class CenterL1Loss(nn.Module):
    """L1 of what a map says at the true centre, a mean over channels.

    Args:
        loss_weight (float): Factor.
    """

    reads = ('size_map', 'targets.size', 'targets.center', 'box_weights')

    def __init__(self, *, loss_weight: float = 1.) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, maps: Tensor, target: Tensor, centers: Tensor,
                box_weights: Tensor) -> Tensor:
        """Maps (B, T, C, H, W), values (B, T, C), cells and weights (B, T),
        to a scalar."""
        error = (at_centers(maps, centers).float() - target).abs().mean(-1)
        return self.loss_weight * (error * box_weights).sum()
