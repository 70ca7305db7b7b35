# Copyright (c) costa_mm authors. All rights reserved.
"""Text encoders."""
from .hf_text_encoder import HFTextEncoder

__all__ = ['HFTextEncoder']
