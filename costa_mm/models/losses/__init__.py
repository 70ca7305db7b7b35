# Copyright (c) costa_mm authors. All rights reserved.
"""Losses of tube heads."""
from .attendance_loss import AttendanceLoss, attendance_loss
from .span_kl_loss import SpanKLLoss, gaussian_targets, span_kl_loss

__all__ = [
    'AttendanceLoss', 'SpanKLLoss', 'attendance_loss', 'gaussian_targets',
    'span_kl_loss'
]
