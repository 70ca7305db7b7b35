# Copyright (c) costa_mm authors. All rights reserved.
"""Transforms of clips; importing this package registers them."""
from .attributes import LoadTargetAttributes
from .cropping import RandomBranch, RandomSizeCrop
from .formatting import PackSTVGInputs
from .geometry import FlipWithText, ResizeClip
from .loading import LoadTubeAnnotations, LoadVideoFrames
from .photometric import ClipColorJitter
from .proposals import LoadTubeProposals
from .sampling import RandomTemporalCrop, SampleFrames
from .squeezing import SqueezeClip
from .text import CleanSentence, mirror_words

__all__ = [
    'CleanSentence', 'ClipColorJitter', 'FlipWithText',
    'LoadTargetAttributes', 'LoadTubeAnnotations', 'LoadTubeProposals',
    'LoadVideoFrames',
    'PackSTVGInputs', 'RandomBranch', 'RandomSizeCrop', 'RandomTemporalCrop',
    'ResizeClip', 'SampleFrames', 'SqueezeClip', 'mirror_words'
]
