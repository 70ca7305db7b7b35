# Copyright (c) costa_mm authors. All rights reserved.
"""Tube heads: from fused memory to span and boxes."""
from .base_tube_head import BaseTubeHead
from .entangled_query import (EventQuery, labels_from_span, select_labels,
                              span_from_logits)
from .entangled_tube_head import EntangledTubeHead
from .object_queries import AnchorBoxQuery, ReferencePointQuery
from .spatial_decoder import EntangledSpatialDecoder
from .targets import TubeTargets, collect_targets
from .temporal_decoder import TemporalDecoder

__all__ = [
    'AnchorBoxQuery', 'BaseTubeHead', 'EntangledSpatialDecoder',
    'EntangledTubeHead', 'EventQuery', 'ReferencePointQuery',
    'TemporalDecoder', 'TubeTargets', 'collect_targets', 'labels_from_span',
    'select_labels',
    'span_from_logits'
]
