# Copyright (c) costa_mm authors. All rights reserved.
"""Files that predictions are written to, one class per form."""
from costa_mm.registry import RESULT_FORMATS
from .annotations import HCSTVGFile, STVGFile, VidSTGFolder
from .base import EventFile, TubeFile, get_format
from .challenge import HCSTVGChallengeFile
from .coco_video import COCOVideoFile
from .cvat_video import CVATVideoFolder
from .mot import MOTFolder
from .subtitles import SRTFolder, VTTFolder

__all__ = [
    'COCOVideoFile', 'CVATVideoFolder', 'EventFile', 'HCSTVGChallengeFile',
    'HCSTVGFile', 'MOTFolder', 'RESULT_FORMATS', 'SRTFolder', 'STVGFile',
    'TubeFile', 'VTTFolder', 'VidSTGFolder', 'get_format'
]
