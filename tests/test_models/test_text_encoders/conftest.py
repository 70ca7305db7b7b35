# Copyright (c) costa_mm authors. All rights reserved.
"""What the encoders log."""
import pytest

from costa_mm.models.text_encoders import hf_text_encoder


@pytest.fixture
def warnings(monkeypatch):
    """Messages of HFTextEncoder, one after the other."""
    messages = []
    monkeypatch.setattr(hf_text_encoder, 'print_log',
                        lambda message, *args: messages.append(message))
    return messages
