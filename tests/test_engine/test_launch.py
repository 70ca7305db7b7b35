# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch

from costa_mm.engine.launch import autocast_dtype


@pytest.mark.parametrize('native', [True, False])
def test_emulated_bfloat16_is_not_used(monkeypatch, native):
    def supported(including_emulation=True):
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', supported)
    assert autocast_dtype() == (torch.bfloat16 if native else torch.float16)


def test_old_torch_counts_no_emulation(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: False)
    assert autocast_dtype() == torch.float16
