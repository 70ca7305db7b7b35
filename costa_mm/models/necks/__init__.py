# Copyright (c) costa_mm authors. All rights reserved.
"""Fusion of video and text."""
from .space_time_fusion_neck import SpaceTimeFusionNeck

__all__ = ['SpaceTimeFusionNeck']
