# Copyright (c) costa_mm authors. All rights reserved.
"""How large the weights of CoSTA's neck and head are before training."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from costa_mm.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
# matrices that begin otherwise than by Xavier, with the reason
ZERO = 'head.spatial_decoder.box_head.layers.2.weight'  # boxes = anchors
PRIOR = 'head.spatial_decoder.object_query.theta_s.layers.1.weight'
OTHERS = {
    'head.event_query.embedding.weight',  # small, measured below
    # what reads scores off: torch's own start
    'head.temporal_decoder.span_head.layers.0.weight',
    'head.temporal_decoder.span_head.layers.1.weight',
    'head.attend_enc.layers.0.weight',
    'head.attend_enc.layers.1.weight',
    'head.attend_dec.layers.0.weight',
    'head.attend_dec.layers.1.weight',
}


@pytest.fixture(
    scope='module', params=['synthetic/costa_tiny_synthetic', 'costa_hcstvg'])
def weights(request):
    """Name to initial weight of neck and head."""
    model = Config.fromfile(CONFIGS / f'{request.param}.py').model
    torch.manual_seed(0)
    found = {}
    for part in ('neck', 'head'):
        module = MODELS.build(model[part])
        module.init_weights()
        found.update((f'{part}.{k}', v.detach())
                     for k, v in module.named_parameters())
    return found, model


def is_matrix(name, weight):
    return weight.dim() > 1 and name not in OTHERS


def test_matrices_have_xavier_scale(weights):
    found, model = weights
    prior = model.head.get('object_query', {}).get('prior') is not None
    scales = {}
    for name, weight in found.items():
        if not is_matrix(name, weight) or name == ZERO or (prior
                                                           and name == PRIOR):
            continue
        fan_in = weight[0].numel()
        fan_out = len(weight) * weight[0, 0].numel()
        scales[name] = float(weight.std()) * ((fan_in + fan_out) / 2)**0.5
    assert len(scales) > 30
    wrong = {k: v for k, v in scales.items() if not 0.8 < v < 1.2}
    assert not wrong


def test_boxes_begin_at_anchors_and_anchors_at_the_prior(weights):
    found, model = weights
    assert not found[ZERO].any()
    if model.head.get('object_query', {}).get('prior'):
        assert not found[PRIOR].any()


def test_the_event_part_is_small(weights):
    std = weights[0]['head.event_query.embedding.weight'].std()
    assert std == pytest.approx(0.02, rel=0.15)
