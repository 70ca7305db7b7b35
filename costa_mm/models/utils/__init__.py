# Copyright (c) costa_mm authors. All rights reserved.
"""From a head's outputs to tubes in the source video."""
from .compilation import compile_parts
from .sharding import grounder_wrap_policy
from .tube_decoding import (SampledTube, TestConfig, best_spans, decode_tubes,
                            densify_boxes, merge_passes, to_source_span)
from .window_merging import merge_windows
from .windows import WindowConfig, cut_video

__all__ = [
    'SampledTube', 'TestConfig', 'WindowConfig', 'best_spans',
    'compile_parts', 'cut_video', 'decode_tubes', 'densify_boxes',
    'grounder_wrap_policy', 'merge_passes', 'merge_windows', 'to_source_span'
]
