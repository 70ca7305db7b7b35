# Copyright (c) costa_mm authors. All rights reserved.
"""Proposed tubes ranked by a trained model."""
import copy

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from tiny_model import (BASE, C, backbone_cfg, make_batch, make_sample,
                        spatial_cfg, take, text_cfg)
from torch.testing import assert_close

from costa_mm.evaluation import ProposalRecall
from costa_mm.models.heads import tube_overlaps
from costa_mm.models.layers import sample_regions
from costa_mm.models.losses import tube_match_loss
from costa_mm.models.losses.tube_match_loss import positive_tubes
from costa_mm.registry import MODELS


def make(joint=True, **changes):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='costa_mm.SpatioTemporalGrounder',
            data_preprocessor=dict(
                type='costa_mm.STVGDataPreprocessor', pad_size_divisor=8),
            backbone=backbone_cfg(
                spatial=dict(spatial_cfg(), zero_init_residual=False),
                temporal=None),
            text_encoder=text_cfg(),
            neck=dict(
                type='costa_mm.TubeRankingNeck',
                in_channels=8 * BASE,
                embed_dims=C,
                num_layers=2,
                num_heads=2,
                feedforward_channels=32,
                dropout=0.,
                stride=32,
                joint=joint),
            head=dict(type='costa_mm.TubeRankingHead', embed_dims=C),
            **changes))
    model.init_weights()
    return model


def run(model, batch, mode):
    batch = copy.deepcopy(batch)
    return model(**model.data_preprocessor(batch), mode=mode)


# ------------------------------------------------------------------ pooling
def test_regions_by_hand():
    """A map that grows by 1 per column and 10 per row is linear, so the mean
    of symmetric samples is its value at the box's centre."""
    rows, columns = torch.meshgrid(
        torch.arange(6.), torch.arange(8.), indexing='ij')
    cells = (10 * (rows + 0.5) + columns + 0.5).view(1, 1, 48, 1)
    mask = torch.zeros(1, 6, 8, dtype=torch.bool)
    boxes = torch.tensor([[1., 1., 3., 2.], [2.5, 0.5, 7.5, 5.5]])
    found = sample_regions(cells, boxes.view(1, 1, 2, 4), mask, 4)
    assert_close(found.flatten(), torch.tensor([15. + 2., 30. + 5.]))
    # a box on the border reads no cell beyond it
    out = sample_regions(cells, torch.tensor([[[[-4., -4., 0., 0.]]]]), mask,
                         2)
    assert out.item() == pytest.approx(5.5)


def test_regions_do_not_read_padding():
    torch.manual_seed(0)
    small = torch.randn(1, 2, 4 * 5, 3)
    boxes = torch.rand(1, 2, 7, 4) * 3
    boxes[..., 2:] += boxes[..., :2]
    mask = torch.zeros(1, 4, 5, dtype=torch.bool)
    found = sample_regions(small, boxes, mask, 3)
    padded = torch.full((1, 2, 6, 9, 3), 10.)
    padded[:, :, :4, :5] = small.view(1, 2, 4, 5, 3)
    wide = torch.ones(1, 6, 9, dtype=torch.bool)
    wide[:, :4, :5] = False
    assert_close(
        sample_regions(padded.flatten(2, 3), boxes, wide, 3), found)


# ------------------------------------------------------------------ targets
def test_overlaps_by_hand():
    true = torch.tensor([[0., 0., 4., 4.]] * 4)
    boxes = torch.zeros(4, 3, 4)
    boxes[:, 0] = true  # everywhere right, but away in frame 1
    boxes[:, 1] = torch.tensor([0., 0., 4., 2.])  # half
    boxes[:, 2] = torch.tensor([9., 9., 10., 10.])
    there = torch.ones(4, 3, dtype=torch.bool)
    there[1, 0] = False
    has_box = torch.tensor([True, True, True, False])
    found = tube_overlaps(boxes[None], there[None], true[None], has_box[None])
    assert_close(found, torch.tensor([[2 / 3, 0.5, 0.]]))
    none = tube_overlaps(boxes[None], there[None], true[None],
                         torch.zeros(1, 4, dtype=torch.bool))
    assert not none.any()
    # the metric sees the same
    metric = ProposalRecall(thresholds=(0.5, 0.6, 0.7))
    metric.process(None, [
        dict(sample_id='a', gt_boxes=true, gt_box_mask=has_box,
             video_inputs=dict(tubes=boxes, tube_scores=there.float())),
        dict(sample_id='a', gt_boxes=true, gt_box_mask=has_box,
             video_inputs=dict(tubes=boxes, tube_scores=there.float())),
        dict(sample_id='b', gt_boxes=true, gt_box_mask=has_box,
             video_inputs=dict(tubes=boxes[:, :0], tube_scores=there[:, :0])),
        dict(sample_id='c', gt_boxes=true, gt_box_mask=~has_box[:1].repeat(4),
             video_inputs=dict(tubes=boxes, tube_scores=there.float())),
    ])
    scores = metric.evaluate(3)
    assert scores == pytest.approx({
        'proposals/recall@0.5': 0.5, 'proposals/recall@0.6': 0.5,
        'proposals/recall@0.7': 0., 'proposals/m_vIoU': 1 / 3,
        'proposals/count': 1.5})


def test_the_metric_tells_samples_of_one_id_apart():
    metric = ProposalRecall()
    metric.process(None, [
        dict(sample_id='a', video_id=name, gt_boxes=torch.ones(1, 4),
             gt_box_mask=torch.ones(1, dtype=torch.bool),
             video_inputs=dict(tubes=torch.ones(1, 1, 4),
                               tube_scores=torch.ones(1, 1)))
        for name in ('x/1', 'x/1', 'y/1')])
    with pytest.raises(ValueError, match="called 'a': 'x/1' and 'y/1'"):
        metric.evaluate(2)


def test_the_metric_says_what_it_lacks():
    with pytest.raises(ValueError, match="'x7' has no proposals"):
        ProposalRecall().process(None, [dict(sample_id='x7')])


def test_positive_tubes():
    overlaps = torch.tensor([[0.9, 0.5, 0.49], [0.4, 0.2, 0.], [0.29, 0., 0.]])
    assert positive_tubes(overlaps, 0.5, 0.3).tolist() == [
        [True, True, False], [True, False, False], [False] * 3]
    logits = torch.tensor([[2., 1., 0.]] * 3)
    loss = tube_match_loss(logits, overlaps)
    log = logits[0].log_softmax(0)
    assert_close(loss[0], -(0.9 * log[0] + 0.5 * log[1]) / 1.4)
    assert_close(loss[1], -log[0])
    assert loss[2] == 0


# -------------------------------------------------------------------- model
def test_every_parameter_learns():
    model = make().train()
    losses = run(model, make_batch(), 'loss')
    assert set(losses) == {'loss_match', 'loss_span'}
    sum(losses.values()).backward()
    for name, p in model.named_parameters():
        if p.requires_grad:
            assert p.grad is not None and p.grad.abs().sum() > 0, name


def test_a_video_whose_tubes_miss_teaches_nothing():
    model = make().train()
    batch = make_batch()
    for sample in batch['data_samples']:
        sample.video_inputs['tubes'] += 500
    losses = run(model, batch, 'loss')
    assert losses['loss_match'] == 0 and losses['loss_span'] == 0
    losses = run(model, make_batch(), 'loss')
    assert losses['loss_match'] > 0 and losses['loss_span'] > 0


@pytest.mark.parametrize('joint', [True, False])
def test_batched_equals_single(joint):
    """Videos differ in length and number of tubes; one has none."""
    model = make(joint).eval()
    batch = make_batch((5, 3, 4), ((32, 64), ) * 3,
                       ((1, 3), (0, 1), (0, 2)), ('a man', 'the red', 'dog'))
    last = batch['data_samples'][2]
    last.video_inputs = {k: v[:, :0] for k, v in last.video_inputs.items()}
    together = run(model, batch, 'predict')
    for i, one in enumerate(together):
        alone, = run(model, take(batch, i), 'predict')
        for name in ('pred_start', 'pred_end', 'pred_boxes'):
            assert_close(torch.as_tensor(one.get(name)),
                         torch.as_tensor(alone.get(name)), atol=1e-5, rtol=0)
        assert [s[:2] for s in one.pred_spans] == \
            [s[:2] for s in alone.pred_spans]
        assert one.pred_score == pytest.approx(alone.pred_score, abs=1e-5)
    assert together[2].pred_score == 0 and together[0].pred_score > 0


def test_order_of_tubes_does_not_matter():
    model = make().eval()
    batch = take(make_batch(), 0)
    sample, = batch['data_samples']
    inputs = sample.video_inputs
    inputs['tubes'] = torch.rand(5, 4, 4) * 14
    inputs['tubes'][..., 2:] += inputs['tubes'][..., :2] + 3
    inputs['tube_scores'] = torch.ones(5, 4)
    first, = run(model, batch, 'predict')
    order = torch.tensor([2, 0, 3, 1])
    for name in inputs:
        inputs[name] = inputs[name][:, order]
    second, = run(model, batch, 'predict')
    assert_close(torch.as_tensor(first.pred_boxes),
                 torch.as_tensor(second.pred_boxes))
    assert first.pred_score == pytest.approx(second.pred_score, abs=1e-5)


def test_boxes_are_the_proposal_s():
    """In pixels of the source, between its frames where it has none."""
    model = make().eval()
    sample = make_sample(0, 5, (32, 64), (1, 3), 'a man')
    tube = torch.tensor([[4., 6., 20., 25.]]).repeat(5, 1)
    tube += 2 * torch.arange(5)[:, None]
    sample.video_inputs = dict(
        tubes=tube[:, None], tube_scores=torch.tensor([[1., 0, 1, 1, 0]]).T)
    batch = take(make_batch(), 0)
    batch['data_samples'] = [sample]
    out, = run(model, batch, 'predict')
    expected = np.array([tube[i].numpy() for i in (0, 1, 2, 3, 3)])
    # ori_shape is twice img_shape
    assert_close(torch.as_tensor(out.pred_boxes),
                 torch.as_tensor(2. * expected), check_dtype=False)


def test_training_looks_at_the_right_tube():
    model = make()
    batch = make_batch()
    data = model.data_preprocessor(copy.deepcopy(batch))
    memory = model.fuse(**data)
    targets = model.head.get_targets(data['data_samples'], memory.frame_mask)
    overlaps = torch.zeros(2, 3)
    overlaps[0, 1] = overlaps[1, 2] = 1.
    outs = model.head(
        memory, targets._replace(extras=dict(overlaps=overlaps)))
    extent = memory.extras['extent'][:, None]
    boxes = bbox_cxcywh_to_xyxy(outs.boxes[0]) * extent
    for row, tube in ((0, 1), (1, 2)):
        own = batch['data_samples'][row].video_inputs['tubes'][:, tube]
        assert_close(boxes[row, :len(own)], own)


def test_windows_and_many_sentences():
    """A video is encoded once for all sentences, proposals included."""
    model = make(test_cfg=dict(window=dict(num_frames=4, overlap=2))).eval()
    batch = make_batch((9, ), ((32, 64), ), ((1, 3), ), ('a man', ))
    alone = copy.deepcopy(batch)
    out, = run(model, alone, 'predict')
    assert len(out.frame_ids) == 9 and np.isfinite(out.pred_boxes).all()
    model = make().eval()
    data = model.data_preprocessor(copy.deepcopy(batch))
    visual = model.encode_video(data['inputs'])
    samples = [make_sample(i, 9, (32, 64), (1, 3), s)
               for i, s in enumerate(('a man', 'the red ball'))]
    both = model.predict_encoded(visual, copy.deepcopy(samples))
    for sample, found in zip(samples, both):
        one, = model.predict_encoded(visual, [sample])
        assert one.pred_score == pytest.approx(found.pred_score, abs=1e-5)


def test_without_proposals():
    model = make()
    batch = make_batch()
    for sample in batch['data_samples']:
        del sample.video_inputs
    with pytest.raises(ValueError, match='LoadTubeProposals'):
        run(model, batch, 'loss')
