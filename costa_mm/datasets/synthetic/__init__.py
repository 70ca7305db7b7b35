# Copyright (c) costa_mm authors. All rights reserved.
"""Synthetic benchmark for spatio-temporal video grounding."""
from .annotations import sample_entry, sample_factors, sample_scene
from .generator import SPLITS, Sample, Settings, draw_sample
from .levels import GENERATOR_VERSION, LEVELS
from .oracles import format_report, load_report, run_oracles
from .writer import write_benchmark

__all__ = [
    'GENERATOR_VERSION', 'LEVELS', 'SPLITS', 'Sample', 'Settings',
    'draw_sample', 'format_report', 'load_report', 'run_oracles',
    'sample_entry', 'sample_factors', 'sample_scene', 'write_benchmark'
]
