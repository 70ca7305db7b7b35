# Copyright (c) costa_mm authors. All rights reserved.
"""Text encoders."""
from .hf_text_encoder import HFTextEncoder
from .tokenization import without_weights

__all__ = ['HFTextEncoder', 'without_weights']
