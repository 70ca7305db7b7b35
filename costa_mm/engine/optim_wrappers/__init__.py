# Copyright (c) costa_mm authors. All rights reserved.
"""Optimizer wrappers."""
from .amp import STVGAmpOptimWrapper

__all__ = ['STVGAmpOptimWrapper']
