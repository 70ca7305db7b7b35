# Copyright (c) costa_mm authors. All rights reserved.
"""Layers that several necks and heads share."""
from .anchor_decoder import ANCHOR_EPS, AnchorDecoderLayer, refine_anchor
from .attention import ConcatCrossAttention, MultiheadAttention
from .cross_frame_decoder import CrossFrameDecoder, CrossFrameOutputs
from .mlp import DropoutMLP
from .positional_encoding import (box_sine_embedding, grid_sine_embedding,
                                  time_sine_embedding)
from .transformer import (FFN, CrossFrameLayer, TransformerEncoderLayer,
                          frame_key_mask)

__all__ = [
    'ANCHOR_EPS', 'AnchorDecoderLayer', 'ConcatCrossAttention',
    'CrossFrameDecoder', 'CrossFrameLayer', 'CrossFrameOutputs', 'DropoutMLP',
    'FFN', 'MultiheadAttention', 'TransformerEncoderLayer',
    'box_sine_embedding', 'frame_key_mask', 'grid_sine_embedding',
    'refine_anchor', 'time_sine_embedding'
]
