# Copyright (c) costa_mm authors. All rights reserved.
"""Layers that several necks and heads share."""
from .attention import ConcatCrossAttention, MultiheadAttention
from .positional_encoding import (box_sine_embedding, grid_sine_embedding,
                                  time_sine_embedding)
from .transformer import (FFN, CrossFrameLayer, TransformerEncoderLayer,
                          frame_key_mask)

__all__ = [
    'ConcatCrossAttention', 'CrossFrameLayer', 'FFN', 'MultiheadAttention',
    'TransformerEncoderLayer', 'box_sine_embedding', 'frame_key_mask',
    'grid_sine_embedding', 'time_sine_embedding'
]
