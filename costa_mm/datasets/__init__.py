# Copyright (c) costa_mm authors. All rights reserved.
"""Datasets, video readers, samplers and transforms."""
from .hcstvg import HCSTVGDataset
from .readers import (BaseVideoReader, DecordReader, PyAVReader, VideoInfo,
                      VideoReadError)
from .stvg_dataset import BaseSTVGDataset, STVGDataset
from .transforms import (FlipWithText, LoadTubeAnnotations, LoadVideoFrames,
                         PackSTVGInputs, RandomTemporalCrop, ResizeClip,
                         SampleFrames)

__all__ = [
    'BaseSTVGDataset', 'BaseVideoReader', 'DecordReader', 'FlipWithText',
    'HCSTVGDataset', 'LoadTubeAnnotations', 'LoadVideoFrames',
    'PackSTVGInputs', 'PyAVReader', 'RandomTemporalCrop', 'ResizeClip',
    'STVGDataset', 'SampleFrames', 'VideoInfo', 'VideoReadError'
]
