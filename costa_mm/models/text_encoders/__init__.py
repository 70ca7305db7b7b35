# Copyright (c) costa_mm authors. All rights reserved.
"""Text encoders."""
from .base_text_encoder import BaseTextEncoder, TextTokens, without_weights
from .hf_text_encoder import HFTextEncoder

__all__ = ['BaseTextEncoder', 'HFTextEncoder', 'TextTokens', 'without_weights']
