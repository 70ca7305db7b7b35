# Copyright (c) costa_mm authors. All rights reserved.
"""Metrics of tubes, the published protocols, and what explains them."""
from costa_mm.utils.frames import subsample
from .comparison import bootstrap_interval, compare_records, comparison_table
from .diagnostics import (ErrorSplit, diagnose, error_split, jump_rate,
                          main_error)
from .formats import (RESULT_FORMATS, EventFile, HCSTVGChallengeFile, TubeFile,
                      get_format)
from .functional import box_iou, boxes_at, span_iou, span_overlap, summarize
from .proposal_recall import ProposalRecall, proposal_overlaps
from .protocols import PROTOCOLS, BaseProtocol, Scores, get_protocol
from .report import SampleRecord, evaluate_sample, factor_table, metric_lines
from .sample_metric import SampleMetric
from .stvg_metric import STVGMetric
from .trivial import TrivialPrior, fit_trivial, trivial_predictions
from .tube_files import evaluate_tubes, evaluation_report, true_tubes

__all__ = [
    'BaseProtocol', 'ErrorSplit', 'EventFile', 'HCSTVGChallengeFile',
    'PROTOCOLS', 'ProposalRecall', 'RESULT_FORMATS', 'STVGMetric',
    'SampleMetric', 'SampleRecord', 'Scores', 'TrivialPrior', 'TubeFile',
    'bootstrap_interval', 'box_iou', 'boxes_at', 'compare_records',
    'comparison_table', 'diagnose', 'error_split', 'evaluate_sample',
    'evaluate_tubes', 'evaluation_report', 'factor_table', 'fit_trivial',
    'get_format', 'get_protocol', 'jump_rate', 'main_error', 'metric_lines',
    'proposal_overlaps', 'span_iou', 'span_overlap', 'subsample', 'summarize',
    'trivial_predictions', 'true_tubes'
]
