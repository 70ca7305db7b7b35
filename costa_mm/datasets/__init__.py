# Copyright (c) costa_mm authors. All rights reserved.
"""Datasets, video readers, samplers and transforms."""
from .base_dataset import BaseSTVGDataset
from .hcstvg import HCSTVGDataset
from .problems import SchemaError
from .readers import (BaseVideoReader, DecordReader, PyAVReader, VideoInfo,
                      VideoReadError)
from .records import SentenceAnnotation
from .samplers import EpochSampler
from .stvg_dataset import STVGDataset
from .transforms import (CleanSentence, ClipColorJitter, FlipWithText,
                         LoadTargetAttributes, LoadTubeAnnotations,
                         LoadVideoFrames, PackSTVGInputs, RandomBranch,
                         RandomSizeCrop, RandomTemporalCrop, ResizeClip,
                         SampleFrames, SqueezeClip)
from .vidstg import VidSTGDataset

__all__ = [
    'BaseSTVGDataset', 'BaseVideoReader', 'CleanSentence', 'ClipColorJitter',
    'DecordReader', 'EpochSampler', 'FlipWithText', 'HCSTVGDataset',
    'LoadTargetAttributes', 'LoadTubeAnnotations', 'LoadVideoFrames',
    'PackSTVGInputs', 'PyAVReader', 'RandomBranch', 'RandomSizeCrop',
    'RandomTemporalCrop', 'ResizeClip', 'STVGDataset', 'SampleFrames',
    'SchemaError', 'SentenceAnnotation', 'SqueezeClip', 'VidSTGDataset',
    'VideoInfo', 'VideoReadError'
]
