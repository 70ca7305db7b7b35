# Copyright (c) costa_mm authors. All rights reserved.
"""Losses of tube heads.

A loss is a pure function and a thin registered module, which says in
``reads`` what a head calls it with (see :class:`BaseTubeHead`).
"""
from .anchor_span_loss import (AnchorScoreLoss, AnchorSpanLoss,
                               anchor_score_loss, anchor_span_loss,
                               positive_anchors, temporal_iou)
from .attendance_loss import AttendanceLoss, attendance_loss
from .box_confidence_loss import BoxConfidenceLoss, box_confidence_loss
from .cell_attention_loss import CellAttentionLoss, cell_overlap
from .center_losses import CenterHeatmapLoss, CenterL1Loss, at_centers
from .giou_loss import GIoULoss, giou_loss, paired_iou
from .guided_attention_loss import GuidedAttentionLoss, guided_attention_loss
from .multi_label_loss import MultiLabelLoss
from .span_kl_loss import SpanKLLoss, gaussian_targets, span_kl_loss
from .tube_match_loss import TubeMatchLoss, tube_match_loss

__all__ = [
    'AnchorScoreLoss', 'AnchorSpanLoss', 'AttendanceLoss', 'BoxConfidenceLoss',
    'CellAttentionLoss', 'CenterHeatmapLoss', 'CenterL1Loss', 'GIoULoss',
    'GuidedAttentionLoss', 'MultiLabelLoss', 'SpanKLLoss',
    'TubeMatchLoss', 'anchor_score_loss',
    'anchor_span_loss', 'at_centers', 'attendance_loss', 'box_confidence_loss',
    'cell_overlap', 'gaussian_targets', 'giou_loss', 'guided_attention_loss',
    'paired_iou', 'positive_anchors', 'span_kl_loss', 'temporal_iou',
    'tube_match_loss'
]
