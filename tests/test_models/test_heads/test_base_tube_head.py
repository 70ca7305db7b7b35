# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch.testing import assert_close

from costa_mm.models.heads import BaseTubeHead, TubeTargets
from costa_mm.models.utils import labels_from_span
from costa_mm.registry import MODELS
from costa_mm.structures import TubeOutputs


class PlainHead(BaseTubeHead):
    """Only the losses are of interest."""

    layer_outputs = (*BaseTubeHead.layer_outputs, 'attendance')
    video_outputs = (*BaseTubeHead.video_outputs, 'attendance_enc', 'own')

    def forward(self, memory, targets=None):
        """Not called."""
        raise NotImplementedError


def published(golden, name):
    """Outputs, targets and the tensors to differentiate by."""
    data = golden(name)
    span = data.get('gt_idx_inclusive', data.get('inter_idx_inclusive'))
    num, length = data['in.pred_sted'].shape[:2]
    order = [f'aux{k}.' for k in range(5) if f'in.aux{k}.pred_sted' in data]
    order.append('')
    leaves = {
        n: [data[f'in.{k}{n}'].requires_grad_() for k in order]
        for n in ('pred_boxes', 'pred_sted', 'pred_actioness')
        if f'in.{n}' in data
    }
    inside = labels_from_span(span, length)
    boxes = torch.zeros(num, length, 4)
    boxes[inside] = data['gt_boxes_cxcywh']
    attend = None
    if 'pred_actioness' in leaves:
        attend = torch.stack(leaves['pred_actioness']).squeeze(-1)
    outs = TubeOutputs(
        boxes=torch.stack(leaves['pred_boxes']).unflatten(1, (num, length)),
        span_logits=torch.stack(leaves['pred_sted']),
        frame_mask=torch.zeros(num, length, dtype=torch.bool),
        attendance=attend)
    targets = TubeTargets(
        boxes=boxes,
        has_box=inside,
        span=span,
        has_span=torch.ones(num, dtype=torch.bool),
        in_event=inside,
        draws=None)
    return data, outs, targets, leaves, order


@pytest.mark.parametrize('name,giou,sigma,attend', [
    ('stcat_loss_b1', 4., 2., True),
    ('stcat_loss_b2_equal', 4., 2., True),
    ('tubedetr_loss_b1', 2., 1., False),
])
def test_published_losses_and_gradients(golden, name, giou, sigma, attend):
    data, outs, targets, leaves, order = published(golden, name)
    head = PlainHead(
        loss_giou=dict(type='mmdet.GIoULoss', loss_weight=giou),
        loss_span=dict(
            type='costa_mm.SpanKLLoss',
            sigma=sigma,
            average='padded',
            loss_weight=10.),
        loss_attend_dec=dict(
            type='costa_mm.AttendanceLoss', average='padded', loss_weight=2.)
        if attend else None,
        box_average='batch')
    losses = head.loss_by_feat(outs, targets)
    terms = dict(
        loss_bbox=('loss_bbox', 5.),
        loss_giou=('loss_giou', giou),
        loss_span=('loss_sted', 10.))
    if attend:
        terms['loss_attend_dec'] = ('loss_actioness', 2.)
    assert len(losses) == len(terms) * len(order)
    for k, layer in enumerate(order):
        ours = f'd{k}.' if layer else ''
        theirs = f'_{k}' if layer else ''
        for mine, (name, weight) in terms.items():
            assert_close(
                losses[ours + mine],
                weight * data[f'loss.{name}{theirs}'],
                atol=2e-5,
                rtol=1e-4)
    sum(losses.values()).backward()
    for name, tensors in leaves.items():
        for layer, tensor in zip(order, tensors):
            assert_close(
                tensor.grad, data[f'grad.{layer}{name}'], atol=1e-4,
                rtol=1e-3)


def simple(num=2, length=4):
    torch.manual_seed(0)
    inside = torch.zeros(num, length, dtype=torch.bool)
    inside[0, 1:4], inside[1, 0] = True, True
    span = torch.tensor([[1, 3], [0, 0]])
    boxes = torch.rand(num, length, 4) * 0.3 + 0.3
    outs = TubeOutputs(
        boxes=torch.rand(2, num, length, 4) * 0.3 + 0.3,
        span_logits=torch.randn(2, num, length, 2),
        frame_mask=torch.zeros(num, length, dtype=torch.bool),
        attendance=torch.randn(2, num, length),
        extras=dict(attendance_enc=torch.randn(num, length)))
    targets = TubeTargets(boxes, inside, span,
                          torch.ones(num, dtype=torch.bool), inside, None)
    return outs, targets


def giou_by_hand(a, b):
    """Of two boxes (cx, cy, w, h)."""
    a, b = bbox_cxcywh_to_xyxy(a).tolist(), bbox_cxcywh_to_xyxy(b).tolist()
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    union = sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)) - inter
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (
        max(a[3], b[3]) - min(a[1], b[1]))
    return inter / union - (hull - union) / hull


def test_equation_6_is_a_mean_over_videos_of_means_over_frames():
    outs, targets = simple()
    losses = PlainHead().loss_by_feat(outs, targets)
    l1 = giou = 0.
    for video, frames in ((0, (1, 2, 3)), (1, (0, ))):
        for t in frames:
            one, other = outs.boxes[1, video, t], targets.boxes[video, t]
            share = 1 / len(frames) / 2
            l1 += share * (one - other).abs().sum().item()
            giou += share * (1 - giou_by_hand(one, other))
    assert losses['loss_bbox'].item() == pytest.approx(5 * l1, rel=1e-5)
    assert losses['loss_giou'].item() == pytest.approx(4 * giou, rel=1e-4)


def test_equation_8_sums_all_parts_of_all_layers():
    outs, targets = simple()
    # an event frame may lack a box; the object attends the event all the same
    has_box = targets.has_box.clone()
    has_box[0, 2] = False
    targets = targets._replace(has_box=has_box)
    attend = dict(type='costa_mm.AttendanceLoss', loss_weight=2.)
    head = PlainHead(loss_attend_enc=attend, loss_attend_dec=attend)
    losses = head.loss_by_feat(outs, targets)
    per_layer = {'loss_bbox', 'loss_giou', 'loss_span', 'loss_attend_dec'}
    assert set(losses) == per_layer | {f'd0.{n}'
                                       for n in per_layer
                                       } | {'loss_attend_enc'}
    # L_e once, on the encoder's logits
    enc = head.loss_attend_enc(outs.named('attendance_enc'),
                               targets.in_event, outs.frame_mask)
    assert_close(losses['loss_attend_enc'], enc)
    last = head.loss_attend_dec(outs.attendance[1], targets.in_event,
                                outs.frame_mask)
    assert_close(losses['loss_attend_dec'], last)


def test_auxiliary_losses_can_be_switched_off():
    outs, targets = simple()
    losses = PlainHead(aux_loss=False).loss_by_feat(outs, targets)
    every = PlainHead().loss_by_feat(outs, targets)
    assert set(losses) == {'loss_bbox', 'loss_giou', 'loss_span'}
    for name, value in losses.items():
        assert_close(value, every[name])


def test_a_video_counts_the_same_whatever_its_batch_mates():
    outs, targets = simple()
    both = PlainHead().loss_by_feat(outs, targets)
    alone = []
    for i in range(2):
        one = TubeOutputs(
            boxes=outs.boxes[:, i:i + 1],
            span_logits=outs.span_logits[:, i:i + 1],
            frame_mask=outs.frame_mask[i:i + 1])
        part = TubeTargets(*(v[i:i + 1] for v in targets[:5]), None)
        alone.append(PlainHead().loss_by_feat(one, part))
    for name, value in both.items():
        assert_close(value, (alone[0][name] + alone[1][name]) / 2)


def test_padded_frames_have_no_loss():
    outs, targets = simple()
    outs.boxes.requires_grad_()
    outs.span_logits.requires_grad_()
    mask = outs.frame_mask.clone()
    mask[1, 1:] = True
    losses = PlainHead().loss_by_feat(
        outs._replace(frame_mask=mask), targets)
    sum(losses.values()).backward()
    assert (outs.boxes.grad[:, 1, 1:] == 0).all()
    assert (outs.span_logits.grad[:, 1, 1:] == 0).all()


def test_without_a_box_the_loss_is_zero_but_has_a_graph():
    outs, targets = simple()
    outs.boxes.requires_grad_()
    none = torch.zeros_like(targets.has_box)
    losses = PlainHead().loss_by_feat(outs, targets._replace(has_box=none))
    assert losses['loss_bbox'].item() == 0 == losses['loss_giou'].item()
    losses['loss_bbox'].backward()
    assert (outs.boxes.grad == 0).all()


def test_unknown_average_raises():
    with pytest.raises(ValueError, match="'x'"):
        PlainHead(box_average='x')


def test_default_configs_are_not_mutated():
    PlainHead(), PlainHead(box_average='batch')
    assert PlainHead().loss_bbox.loss_weight == 5.


class OwnLoss(torch.nn.Module):
    """Reads an output and labels that only one method has."""

    reads = ('own', 'targets.own_labels')

    def forward(self, own, labels):
        """Scalar."""
        return ((own - labels)**2).sum()


def test_a_loss_gets_what_it_says_it_reads(monkeypatch):
    monkeypatch.setitem(MODELS._module_dict, 'OwnLoss', OwnLoss)
    outs, targets = simple()
    outs = outs._replace(extras=dict(own=torch.tensor([1., 2.])))
    targets = targets._replace(extras=dict(own_labels=torch.zeros(2)))
    head = PlainHead(loss_own=dict(type='costa_mm.OwnLoss'))
    losses = head.loss_by_feat(outs, targets)
    assert losses['loss_own'].item() == 5
    assert 'd0.loss_own' not in losses  # it reads nothing of the layers
    assert head.wants('own', targets) and not head.wants('own', None)
    assert not PlainHead().wants('own', targets)


@pytest.mark.parametrize('head, name, loss, output', [
    ('TubeDETRHead', 'loss_attend_enc', 'AttendanceLoss', 'attendance_enc'),
    ('TubeDETRHead', 'loss_attend_dec', 'AttendanceLoss', 'attendance'),
    ('STCATHead', 'loss_attend_enc', 'AttendanceLoss', 'attendance_enc'),
    ('EntangledTubeHead', 'loss_guided', 'GuidedAttentionLoss',
     'time_attention'),
])
def test_a_loss_that_cannot_be_fed_is_refused_at_once(head, name, loss,
                                                      output):
    with pytest.raises(
            ValueError, match=rf"{head}: {name} \({loss}\) .*'{output}'"):
        MODELS.build({
            'type': f'costa_mm.{head}', name: dict(type=f'costa_mm.{loss}')})


def test_what_is_no_loss_is_refused():
    with pytest.raises(TypeError, match="no argument 'beta'"):
        PlainHead(beta=0.5)
    with pytest.raises(ValueError, match='does not say what it reads'):
        PlainHead(loss_own=dict(type='mmdet.L1Loss'))


def test_common_losses_can_be_left_out():
    outs, targets = simple()
    head = PlainHead(loss_bbox=None, loss_giou=None, loss_span=None)
    assert head.loss_by_feat(outs, targets) == {}
