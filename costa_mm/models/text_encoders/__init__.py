# Copyright (c) costa_mm authors. All rights reserved.
"""Text encoders."""
from .base_text_encoder import BaseTextEncoder, TextTokens, without_weights
from .hf_text_encoder import HFTextEncoder
from .subject_text_encoder import SubjectTextEncoder
from .subjects import parse_subject

__all__ = [
    'BaseTextEncoder', 'HFTextEncoder', 'SubjectTextEncoder', 'TextTokens',
    'parse_subject', 'without_weights'
]
