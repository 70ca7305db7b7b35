# Copyright (c) costa_mm authors. All rights reserved.
"""STCAT equals the published code, and pads without a trace."""
import pytest
import torch

from costa_mm.models import STCATFusionNeck, STCATHead
from costa_mm.models.heads import collect_targets
from costa_mm.structures import FusedMemory, TubeOutputs
from costa_mm.weights.published_names import STCAT
from .parity import (TINY, CapturedWeights, batch, build, check_gradients,
                     check_losses, check_output_gradients, close, sample,
                     stored_outputs)


def make(golden, hidden=None, mask=None):
    """The tiny model with published weights and stored sentences."""
    data = golden('stcat_tiny_b1')
    return build(
        STCATFusionNeck(in_channels=48, **TINY), STCATHead(**TINY), STCAT,
        golden('stcat_tiny_weights'),
        data['text_hidden_in'] if hidden is None else hidden,
        data['text_mask'] if mask is None else mask)


def test_encoder_equals_the_published_one(golden):
    data, model = golden('stcat_tiny_b1'), make(golden)
    fused = model.fuse(batch([data['vis_feat_in']]), [sample(0, 6)])
    close(fused.memory[0].transpose(0, 1), data['enc_memory'])
    close(fused.cls, data['enc_frames_cls'])
    close(fused.extras['video_cls'], data['enc_videos_cls'])
    assert torch.equal(fused.mask, data['enc_mask'][:1])
    close(fused.pos[0, :12].T, data['vis_pos'][0].flatten(1))
    assert (fused.pos[0, 12:] == 0).all()
    template = model.head.make_template(fused)
    close(template.anchors, data['tmpl_pos_query_logit'].sigmoid())
    close(template.content.expand(6, -1), data['tmpl_content_query'])


def test_decoders_equal_the_published_ones(golden):
    data, model = golden('stcat_tiny_b1'), make(golden)
    fused = model.fuse(batch([data['vis_feat_in']]), [sample(0, 6)])
    hidden = []
    model.head.spatial_decoder.norm.register_forward_hook(
        lambda module, args, out: hidden.append(out))
    over_time = CapturedWeights(
        [x.self_attn for x in model.head.spatial_decoder.layers])
    template = model.head.make_template(fused)
    spatial = model.head.forward_spatial(template, fused, True)
    temporal = model.head.forward_temporal(template, fused, True)
    close(torch.stack(hidden), data['dec_hs'])
    close(spatial.references, data['dec_reference'])
    close(spatial.attention, data['dec_cross_weights'])
    close(torch.stack(over_time.weights), data['dec_self_weights'])
    close(temporal.hidden, data['time_hs'])
    close(temporal.time_weights, data['time_weights'])


def test_temporal_cross_attention_equals_the_published_one(golden):
    data, model = golden('stcat_tiny_b1'), make(golden)
    seen = CapturedWeights(
        [x.cross_attn for x in model.head.temporal_decoder.layers])
    model(batch([data['vis_feat_in']]), [sample(0, 6)])
    close(torch.stack(seen.weights), data['time_cross_weights'])


def test_outputs_equal_the_published_ones(golden):
    data, model = golden('stcat_tiny_b1'), make(golden)
    model.head.need_attention = True
    outs = model(batch([data['vis_feat_in']]), [sample(0, 6)])
    for layer, prefix in enumerate(('aux0.', '')):
        close(outs.boxes[layer], data[f'{prefix}pred_boxes'])
        close(outs.span_logits[layer], data[f'{prefix}pred_sted'])
        close(outs.attendance[layer], data[f'{prefix}pred_actioness'])
        close(outs.named('time_attention')[layer], data[f'{prefix}weights'])


# published name: ours, weight
TERMS = dict(
    loss_bbox=('loss_bbox', 5),
    loss_giou=('loss_giou', 4),
    loss_sted=('loss_span', 10),
    loss_guided_attn=('loss_guided', 1),
    loss_actioness=('loss_attend_dec', 2))


def test_losses_and_gradients_equal_the_published_ones(golden):
    data, grads = golden('stcat_tiny_b1'), golden('stcat_tiny_grad_b1')
    hidden = data['text_hidden_in'].clone().requires_grad_()
    features = data['vis_feat_in'].clone().requires_grad_()
    model = make(golden, hidden)
    span = grads['actioness'].nonzero().flatten()[[0, -1]]
    losses = model.loss(
        batch([features]), [sample(0, 6, span, grads['gt_boxes_cxcywh'])])
    check_losses(losses, grads, TERMS, 2)
    sum(losses.values()).backward()
    close(features.grad, grads['grad.vis_feat_in'])
    close(hidden.grad, grads['grad.text_hidden_in'])
    # the published code registers the box MLP twice
    check_gradients(
        model, STCAT, 'stcat', golden('stcat_tiny_weights'),
        alias=('ground_decoder.decoder.bbox_embed.', 'bbox_embed.'))


@pytest.mark.parametrize('case', ['b1', 'b2_equal'])
def test_loss_terms_equal_the_published_ones(golden, case):
    data = golden(f'stcat_loss_{case}')
    spans, durations = data['gt_idx_inclusive'], data['durations']
    num, length = len(durations), int(durations[0])
    leaves = stored_outputs(data)
    mask = torch.zeros(num, length, dtype=torch.bool)

    def stack(name, *shape):
        return torch.stack(leaves[name]).view(-1, num, length, *shape)

    outs = TubeOutputs(
        boxes=stack('pred_boxes', 4),
        span_logits=stack('pred_sted', 2),
        frame_mask=mask,
        attendance=stack('pred_actioness'),
        extras=dict(time_attention=stack('weights', length)))
    counts = (spans[:, 1] - spans[:, 0] + 1).tolist()
    boxes = data['gt_boxes_cxcywh'].split(counts)
    samples = [
        sample(i, length, span, box)
        for i, (span, box) in enumerate(zip(spans, boxes))
    ]
    head = STCATHead(**TINY, box_average='batch')
    losses = head.loss_by_feat(outs, collect_targets(samples, mask))
    check_losses(losses, data, TERMS, len(outs.boxes))
    sum(losses.values()).backward()
    check_output_gradients(leaves, data)


@pytest.mark.parametrize('time_in_content', [False, True])
def test_padded_batch_equals_single_videos(golden, time_in_content):
    torch.manual_seed(0)
    hidden = torch.randn(3, 9, 40)
    words = torch.tensor([9, 4, 6])
    mask = torch.arange(9) >= words[:, None]
    model = make(golden, hidden, mask)
    model.head.time_in_content = time_in_content
    videos = [torch.randn(t, 48, 4, 3) for t in (7, 3, 1)]
    outs = model(batch(videos), [sample(i, len(v))
                                 for i, v in enumerate(videos)])
    for i, video in enumerate(videos):
        single = make(golden, hidden[i:i + 1, :words[i]],
                      mask[i:i + 1, :words[i]])
        single.head.time_in_content = time_in_content
        alone = single(batch([video]), [sample(0, len(video))])
        for name in ('boxes', 'span_logits', 'attendance'):
            both = getattr(outs, name)[:, i, :len(video)]
            close(both, getattr(alone, name)[:, 0], atol=1e-4)


def test_scores_of_a_video_that_stands_still(golden):
    """As published, almost none is likelier than another.

    Frame numbers reach the scores by the weights of attention only, and what
    is attended to is the same in every frame, but for the global token.
    """
    data, model = golden('stcat_tiny_b1'), make(golden)
    still = batch([data['vis_feat_in'][:1].expand(6, -1, -1, -1)])

    def spread():
        logits = model(still, [sample(0, 6)]).span_logits
        return (logits.amax(2) - logits.amin(2)).max()

    published = spread()
    model.head.time_in_content = True
    assert published < spread() / 20


def test_loss_of_a_batch_is_the_mean_of_its_videos(golden):
    torch.manual_seed(0)
    data = golden('stcat_tiny_b1')
    hidden = data['text_hidden_in'].repeat(2, 1, 1)
    model = make(golden, hidden, data['text_mask'].repeat(2, 1))
    videos = [torch.randn(t, 48, 4, 3) for t in (7, 4)]
    samples = [
        sample(i, len(v), (1, 2), torch.full((2, 4), 0.3))
        for i, v in enumerate(videos)
    ]
    both = model.loss(batch(videos), samples)
    alone = [model.loss(batch([v]), [s]) for v, s in zip(videos, samples)]
    for name, value in both.items():
        close(value, (alone[0][name] + alone[1][name]) / 2, atol=1e-4)


def test_predict_reads_no_ground_truth(golden):
    data, model = golden('stcat_tiny_b1'), make(golden)
    model.test_cfg = type(model.test_cfg)(two_pass=True)
    with torch.no_grad():
        out, = model.predict(batch([data['vis_feat_in']]), [sample(0, 6)])
    start, end = out.pred_tube.span
    assert 0 <= start < end <= 6
    assert out.pred_boxes.shape == (6, 4)
    assert len(out.pred_attendance) == 6


def test_head_wants_a_global_token():
    memory = FusedMemory(
        torch.zeros(1, 2, 3, 64), torch.zeros(1, 3, 64),
        torch.zeros(1, 3, dtype=torch.bool), torch.zeros(1, 2, 64),
        torch.zeros(1, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match='STCATFusionNeck'):
        STCATHead(**TINY)(memory)


def test_anchors_begin_on_the_prior():
    head = STCATHead(**TINY, anchor_prior=(0.5, 0.4, 0.2, 0.3))
    head.init_weights()
    memory = FusedMemory(
        torch.randn(1, 5, 3, 64), torch.randn(1, 3, 64),
        torch.zeros(1, 3, dtype=torch.bool), torch.randn(1, 5, 64),
        torch.zeros(1, 5, dtype=torch.bool),
        extras=dict(video_cls=torch.randn(1, 64)))
    boxes = head.eval()(memory).boxes
    close(boxes, torch.tensor([0.5, 0.4, 0.2, 0.3]).expand(2, 1, 5, 4))


def test_every_parameter_is_trained(golden):
    data, model = golden('stcat_tiny_b1'), make(golden)
    model.train()
    losses = model.loss(
        batch([data['vis_feat_in']]),
        [sample(0, 6, (1, 4), torch.full((4, 4), 0.3))])
    sum(losses.values()).backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None]
    assert not missing
