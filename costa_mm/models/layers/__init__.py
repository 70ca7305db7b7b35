# Copyright (c) costa_mm authors. All rights reserved.
"""Layers that several necks and heads share."""
from .anchor_decoder import ANCHOR_EPS, AnchorDecoderLayer, refine_anchor
from .attention import ConcatCrossAttention, MultiheadAttention
from .cross_attention_block import CrossAttentionBlock
from .cross_frame_decoder import CrossFrameDecoder, CrossFrameOutputs
from .initialization import prior_bias, xavier_matrices
from .mlp import DropoutMLP
from .pooled_attention import (CrossModalLayer, PooledEncoderLayer,
                               broadcast_tokens, pool_tokens)
from .positional_encoding import (box_sine_embedding, grid_sine_embedding,
                                  time_sine_embedding)
from .region_pooling import (covered_cells, masked_mean, pool_cells,
                             sample_regions)
from .transformer import (FFN, CrossFrameLayer, TransformerEncoderLayer,
                          frame_key_mask)

__all__ = [
    'ANCHOR_EPS', 'AnchorDecoderLayer', 'ConcatCrossAttention',
    'CrossAttentionBlock', 'CrossFrameDecoder', 'CrossFrameLayer',
    'CrossFrameOutputs', 'CrossModalLayer', 'DropoutMLP', 'FFN',
    'MultiheadAttention', 'PooledEncoderLayer', 'TransformerEncoderLayer',
    'box_sine_embedding', 'broadcast_tokens', 'covered_cells',
    'frame_key_mask', 'grid_sine_embedding', 'masked_mean', 'pool_cells',
    'pool_tokens', 'prior_bias', 'refine_anchor', 'sample_regions',
    'time_sine_embedding', 'xavier_matrices'
]
