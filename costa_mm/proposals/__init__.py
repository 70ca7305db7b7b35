# Copyright (c) costa_mm authors. All rights reserved.
"""Tubes that a detector proposes, for methods that rank them.

:mod:`.detectors` finds boxes in frames, :mod:`.linking` makes tubes of them,
:mod:`.proposer` does both for a video.
"""
from .detectors import (BaseFrameDetector, GivenDetections, MMDetFrameDetector,
                        TransformersFrameDetector)
from .linking import Detections, LinkedTube, best_path, link_tubes
from .proposer import TubeProposer

__all__ = [
    'BaseFrameDetector', 'Detections', 'GivenDetections',
    'LinkedTube', 'MMDetFrameDetector', 'TransformersFrameDetector',
    'TubeProposer', 'best_path', 'link_tubes'
]
