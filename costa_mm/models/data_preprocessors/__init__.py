# Copyright (c) costa_mm authors. All rights reserved.
"""Data preprocessors."""
from .stvg_data_preprocessor import STVGDataPreprocessor

__all__ = ['STVGDataPreprocessor']
