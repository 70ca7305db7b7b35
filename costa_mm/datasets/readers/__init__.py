# Copyright (c) costa_mm authors. All rights reserved.
"""Video readers: exact frames by number, nothing read that is not asked for.

A frame number counts decoded frames in presentation order from 0.  It says
nothing about time: in a video with a variable frame rate frame 30 is the 31st
picture, whenever it is shown.
"""
from .base import BaseVideoReader, BehindEndError, VideoInfo, VideoReadError
from .decord_reader import DecordReader
from .pyav_reader import PyAVReader, PyAVVideo

__all__ = [
    'BaseVideoReader', 'BehindEndError', 'DecordReader', 'PyAVReader',
    'PyAVVideo', 'VideoInfo', 'VideoReadError'
]
