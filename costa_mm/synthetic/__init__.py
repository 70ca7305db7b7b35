# Copyright (c) costa_mm authors. All rights reserved.
"""Synthetic benchmark for spatio-temporal video grounding."""
from .annotations import sample_entry, sample_factors, sample_scene
from .generator import SPLITS, Sample, Settings, draw_sample
from .levels import GENERATOR_VERSION, LEVELS
from .oracles import format_report, load_report, run_oracles
from .render import render_frames
from .writer import ENCODING, write_benchmark, write_sample

__all__ = [
    'ENCODING', 'GENERATOR_VERSION', 'LEVELS', 'SPLITS', 'Sample', 'Settings',
    'draw_sample', 'format_report', 'load_report', 'render_frames',
    'run_oracles', 'sample_entry', 'sample_factors', 'sample_scene',
    'write_benchmark', 'write_sample'
]
