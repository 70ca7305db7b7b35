# Copyright (c) costa_mm authors. All rights reserved.
"""From a head's outputs to tubes in the source video."""
from .tube_decoding import (SampledTube, TestConfig, best_spans, decode_tubes,
                            densify_boxes, merge_passes, to_source_span)

__all__ = [
    'SampledTube', 'TestConfig', 'best_spans', 'decode_tubes',
    'densify_boxes', 'merge_passes', 'to_source_span'
]
