# Copyright (c) costa_mm authors. All rights reserved.
"""Datasets, video readers, samplers and transforms."""
from .base_dataset import BaseSTVGDataset
from .coco_video import COCOVideoDataset
from .cvat_video import CVATVideoDataset
from .hcstvg import HCSTVGDataset
from .mot import MOTDataset
from .problems import SchemaError
from .readers import (BaseVideoReader, DecordReader, PyAVReader,
                      TorchCodecReader, VideoInfo, VideoReadError)
from .records import SentenceAnnotation
from .samplers import EpochSampler
from .stvg_dataset import STVGDataset
from .transforms import (CleanSentence, ClipColorJitter, FlipWithText,
                         LoadTargetAttributes, LoadTubeAnnotations,
                         LoadTubeProposals, LoadVideoFrames, PackSTVGInputs,
                         RandomBranch, RandomSizeCrop, RandomTemporalCrop,
                         ResizeClip, SampleFrames, SqueezeClip)
from .vidstg import VidSTGDataset
from .wrappers import ClassBalancedDataset, ConcatDataset, RepeatDataset

__all__ = [
    'BaseSTVGDataset', 'BaseVideoReader', 'COCOVideoDataset',
    'CVATVideoDataset', 'ClassBalancedDataset', 'CleanSentence',
    'ClipColorJitter', 'ConcatDataset', 'DecordReader', 'EpochSampler',
    'FlipWithText', 'HCSTVGDataset', 'LoadTargetAttributes',
    'LoadTubeAnnotations', 'LoadTubeProposals', 'LoadVideoFrames',
    'MOTDataset', 'PackSTVGInputs', 'PyAVReader', 'RandomBranch',
    'RandomSizeCrop', 'RandomTemporalCrop', 'RepeatDataset', 'ResizeClip',
    'STVGDataset', 'SampleFrames', 'SchemaError', 'SentenceAnnotation',
    'SqueezeClip', 'TorchCodecReader', 'VidSTGDataset', 'VideoInfo',
    'VideoReadError'
]
