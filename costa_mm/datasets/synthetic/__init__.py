# Copyright (c) costa_mm authors. All rights reserved.
"""Synthetic benchmark for spatio-temporal video grounding."""
from .generator import (SPLITS, Sample, Settings, draw_sample, sample_entry,
                        sample_factors)
from .levels import GENERATOR_VERSION, LEVELS

__all__ = [
    'GENERATOR_VERSION', 'LEVELS', 'SPLITS', 'Sample', 'Settings',
    'draw_sample', 'sample_entry', 'sample_factors'
]
