# Copyright (c) costa_mm authors. All rights reserved.
"""Tube heads: from fused memory to span and boxes."""
from .absolute_box_decoder import AbsoluteBoxDecoder, FrameAnchor
from .base_tube_head import BaseTubeHead
from .cgstvg_head import CGSTVGHead
from .context import ContextDecoderLayer, ContextGenerator
from .entangled_query import EventQuery, select_labels
from .entangled_tube_head import EntangledTubeHead
from .object_queries import AnchorBoxQuery, ReferencePointQuery
from .spatial_decoder import EntangledSpatialDecoder
from .stcat_decoder import (STCATDecoderLayer, STCATSpatialDecoder, Template,
                            TemplateGenerator)
from .stcat_head import STCATHead
from .stvgbert_head import STVGBertHead
from .target_queries import Classifier, TargetStream
from .targets import TubeTargets, collect_targets
from .tastvg_head import TASTVGHead
from .temporal_decoder import TemporalDecoder
from .tube_ranking_head import TubeRankingHead, tube_overlaps
from .tubedetr_head import TubeDETRHead
from .two_stream_head import TwoStreamHead

__all__ = [
    'AbsoluteBoxDecoder', 'AnchorBoxQuery', 'BaseTubeHead', 'CGSTVGHead',
    'Classifier', 'ContextDecoderLayer', 'ContextGenerator',
    'EntangledSpatialDecoder', 'EntangledTubeHead', 'EventQuery',
    'FrameAnchor', 'ReferencePointQuery', 'STCATDecoderLayer', 'STCATHead',
    'STCATSpatialDecoder', 'STVGBertHead', 'TASTVGHead', 'TargetStream',
    'Template', 'TemplateGenerator', 'TemporalDecoder', 'TubeDETRHead',
    'TubeRankingHead', 'TubeTargets', 'TwoStreamHead', 'collect_targets',
    'select_labels', 'tube_overlaps'
]
