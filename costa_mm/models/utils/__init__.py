# Copyright (c) costa_mm authors. All rights reserved.
"""From a head's outputs to tubes in the source video; repeated layers."""
from .compilation import compile_parts
from .recomputing import checkpointed
from .repeated_parts import is_transformer_layer, repeated_parts
from .sharding import grounder_wrap_policy
from .spans import (joint_span_scores, labels_from_span, span_from_logits,
                    span_log_probs)
from .tube_decoding import (DecodingConfig, SampledTube, best_spans,
                            decode_tubes, densify_boxes, merge_passes,
                            to_source_span, write_prediction)
from .window_merging import merge_windows
from .windows import WindowConfig, cut_video

__all__ = [
    'DecodingConfig', 'SampledTube', 'WindowConfig', 'best_spans',
    'checkpointed', 'compile_parts', 'cut_video', 'decode_tubes',
    'densify_boxes', 'grounder_wrap_policy', 'is_transformer_layer',
    'joint_span_scores', 'labels_from_span', 'merge_passes', 'merge_windows',
    'repeated_parts', 'span_from_logits', 'span_log_probs', 'to_source_span',
    'write_prediction'
]
