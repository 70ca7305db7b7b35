# Copyright (c) costa_mm authors. All rights reserved.
"""Video readers: exact frames by number, nothing read that is not asked for.

A frame number counts the pictures that a player shows, from 0; it says
nothing about time (see :meth:`BaseVideoReader.times`).
"""
from .base import BaseVideoReader, BehindEndError, VideoInfo, VideoReadError
from .decord_reader import DecordReader
from .pyav_reader import PyAVReader
from .pyav_video import PyAVVideo
from .torchcodec_reader import TorchCodecReader

__all__ = [
    'BaseVideoReader', 'BehindEndError', 'DecordReader', 'PyAVReader',
    'PyAVVideo', 'TorchCodecReader', 'VideoInfo', 'VideoReadError'
]
