# Copyright (c) costa_mm authors. All rights reserved.
"""Grounding for people: a Python call."""
from costa_mm.late_imports import quick_imports

with quick_imports():
    from costa_mm.weights import ZooEntry, find_model, list_models
    from .calibration import Calibration
    from .clips import cut_events
    from .exporting import write_annotations, write_results
    from .ray_data import GroundVideos
    from .report import write_report
    from .results import ScoredSpan, TubeResult, dump_results, load_results
    from .stvg_inferencer import STVGInferencer

__all__ = [
    'Calibration', 'GroundVideos', 'STVGInferencer', 'ScoredSpan',
    'TubeResult', 'ZooEntry', 'cut_events', 'dump_results', 'find_model',
    'list_models', 'load_results', 'write_annotations', 'write_report',
    'write_results'
]
