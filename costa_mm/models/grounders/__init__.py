# Copyright (c) costa_mm authors. All rights reserved.
"""Grounders: one class for every method that is trained, and one that ranks
tubes without training."""
from .spatio_temporal_grounder import SpatioTemporalGrounder
from .zero_shot_tube_ranking import ZeroShotTubeRanking

__all__ = ['SpatioTemporalGrounder', 'ZeroShotTubeRanking']
