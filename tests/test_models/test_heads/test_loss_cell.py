# Copyright (c) costa_mm authors. All rights reserved.
"""The loss on the attention over cells, in the heads of all methods."""
import pytest
import torch
from tiny_model import (C, backbone_cfg, build, grounder_cfg, head_cfg,
                        make_batch, neck_cfg)
from torch.testing import assert_close

from costa_mm.models.heads import collect_targets

CELL = dict(type='costa_mm.CellAttentionLoss', loss_weight=3.)
SIZES = dict(
    embed_dims=C, num_layers=2, num_heads=2, feedforward_channels=32)
METHODS = dict(
    costa=dict(),
    stcat=dict(
        backbone=backbone_cfg(temporal=None),
        neck=neck_cfg(type='costa_mm.STCATFusionNeck'),
        head=dict(
            type='costa_mm.STCATHead', dropout=0., span_dropout=0., **SIZES)),
    tubedetr=dict(
        backbone=backbone_cfg(temporal=None),
        neck=neck_cfg(type='costa_mm.TubeDETRFusionNeck', stride=2),
        head=dict(
            type='costa_mm.TubeDETRHead', dropout=0., span_dropout=0.,
            **SIZES)))


@pytest.fixture(params=sorted(METHODS))
def parts(request):
    """A grounder's config with the loss, and one without."""
    cfg = grounder_cfg(**METHODS[request.param])
    head = cfg.get('head', head_cfg())
    return dict(cfg, head=dict(head, loss_cell=CELL)), cfg


def test_every_layer_has_it_and_prediction_has_no_weights(parts):
    model = build(parts[0])
    batch = model.data_preprocessor(make_batch())
    losses = model(**batch, mode='loss')
    memory = model.fuse(batch['inputs'], batch['data_samples'])
    targets = collect_targets(batch['data_samples'], memory.frame_mask)
    outs = model.head(memory, targets)
    weights = model.head._box_weights(targets)
    for layer, name in enumerate(('d0.loss_cell', 'loss_cell')):
        attention = outs.named('cell_attention')[layer]
        assert_close(attention.sum(-1), torch.ones_like(attention[..., 0]),
                     atol=1e-5, rtol=0.)
        assert_close(
            losses[name],
            model.head.loss_cell(attention, targets.boxes, memory.cell_mask,
                                 weights))
        assert losses[name] > 0
    # weights cost time, and nobody reads them at test time
    assert model.head(memory).named('cell_attention') is None


def test_it_is_off_by_default_and_changes_no_other_loss(parts):
    batch = make_batch()
    found = []
    for cfg in parts:
        model = build(cfg)
        found.append(model(**model.data_preprocessor(batch), mode='loss'))
    with_it, without = found
    assert {n for n in with_it
            if n not in without} == {'loss_cell', 'd0.loss_cell'}
    for name, value in without.items():
        assert_close(value, with_it[name], atol=1e-5, rtol=1e-4)


def test_it_teaches_what_boxes_are_read_from(parts):
    model = build(parts[0]).train()
    losses = model(**model.data_preprocessor(make_batch()), mode='loss')
    losses['loss_cell'].backward()
    head = model.head
    layers = (head.spatial_decoder if hasattr(head, 'spatial_decoder') else
              head.decoder).layers
    taught = [n for n, p in layers.named_parameters()
              if p.grad is not None and p.grad.abs().sum() > 0]
    assert any(n.startswith('1.') for n in taught), taught
    # start and end are none of its business
    spans = [p for n, p in head.named_parameters() if 'span_head' in n]
    assert spans and all(p.grad is None or not p.grad.any() for p in spans)
