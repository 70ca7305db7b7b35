# Copyright (c) costa_mm authors. All rights reserved.
"""Metrics of tubes, the published protocols, and what explains them."""
from .diagnostics import ErrorSplit, diagnose, error_split, jump_rate
from .formats import FORMATS, write_hcstvg_challenge, write_tubes
from .functional import (box_iou, boxes_at, span_iou, span_overlap,
                         subsample, summarize)
from .protocols import PROTOCOLS, Protocol, Scores, get_protocol
from .report import SampleRecord, evaluate_sample
from .stvg_metric import STVGMetric

__all__ = [
    'ErrorSplit', 'FORMATS', 'PROTOCOLS', 'Protocol', 'STVGMetric',
    'SampleRecord', 'Scores', 'box_iou', 'boxes_at', 'diagnose',
    'error_split', 'evaluate_sample', 'get_protocol', 'jump_rate', 'span_iou',
    'span_overlap', 'subsample', 'summarize', 'write_hcstvg_challenge',
    'write_tubes'
]
