# Copyright (c) costa_mm authors. All rights reserved.
"""Fusion of video and text."""
from .base_fusion_neck import BaseFusionNeck
from .space_time_fusion_neck import SpaceTimeFusionNeck
from .st_vilbert_neck import STViLBertNeck
from .stcat_fusion_neck import STCATFusionNeck
from .tube_ranking_neck import TubeRankingNeck
from .tubedetr_fusion_neck import TubeDETRFusionNeck
from .two_stream_fusion_neck import TwoStreamFusionNeck

__all__ = [
    'BaseFusionNeck', 'STCATFusionNeck', 'STViLBertNeck',
    'SpaceTimeFusionNeck', 'TubeDETRFusionNeck', 'TubeRankingNeck',
    'TwoStreamFusionNeck'
]
