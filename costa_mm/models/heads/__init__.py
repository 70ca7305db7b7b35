# Copyright (c) costa_mm authors. All rights reserved.
"""Tube heads: from fused memory to span and boxes."""
from .base_tube_head import BaseTubeHead
from .entangled_query import EventQuery, select_labels
from .entangled_tube_head import EntangledTubeHead
from .object_queries import AnchorBoxQuery, ReferencePointQuery
from .spatial_decoder import EntangledSpatialDecoder
from .stcat_decoder import (STCATDecoderLayer, STCATSpatialDecoder, Template,
                            TemplateGenerator)
from .stcat_head import STCATHead
from .targets import TubeTargets, collect_targets
from .temporal_decoder import TemporalDecoder
from .tubedetr_head import TubeDETRHead

__all__ = [
    'AnchorBoxQuery', 'BaseTubeHead', 'EntangledSpatialDecoder',
    'EntangledTubeHead', 'EventQuery', 'ReferencePointQuery',
    'STCATDecoderLayer', 'STCATHead', 'STCATSpatialDecoder', 'Template',
    'TemplateGenerator', 'TemporalDecoder', 'TubeDETRHead', 'TubeTargets',
    'collect_targets', 'select_labels'
]
