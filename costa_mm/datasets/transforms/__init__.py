# Copyright (c) costa_mm authors. All rights reserved.
"""Transforms of clips; importing this package registers them."""
from .formatting import PackSTVGInputs
from .geometry import FlipWithText, ResizeClip
from .loading import LoadTubeAnnotations, LoadVideoFrames
from .sampling import RandomTemporalCrop, SampleFrames
from .text import mirror_words

__all__ = [
    'FlipWithText', 'LoadTubeAnnotations', 'LoadVideoFrames',
    'PackSTVGInputs', 'RandomTemporalCrop', 'ResizeClip', 'SampleFrames',
    'mirror_words'
]
