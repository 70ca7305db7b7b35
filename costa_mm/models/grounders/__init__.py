# Copyright (c) costa_mm authors. All rights reserved.
"""Grounders: one class for every method."""
from .spatio_temporal_grounder import SpatioTemporalGrounder

__all__ = ['SpatioTemporalGrounder']
