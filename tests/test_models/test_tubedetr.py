# Copyright (c) costa_mm authors. All rights reserved.
"""TubeDETR equals the published code, and pads without a trace."""
import pytest
import torch

from costa_mm.models import TubeDETRFusionNeck, TubeDETRHead
from costa_mm.models.heads import collect_targets
from costa_mm.models.layers import time_sine_embedding
from costa_mm.models.utils import best_spans
from costa_mm.structures import TubeOutputs
from costa_mm.weights.published_names import TUBEDETR
from .parity import (TINY, CapturedWeights, batch, build, check_gradients,
                     check_losses, check_output_gradients, close, sample,
                     stored_outputs)

# published name: ours, weight
TERMS = dict(
    loss_bbox=('loss_bbox', 5),
    loss_giou=('loss_giou', 2),
    loss_sted=('loss_span', 10),
    loss_guided_attn=('loss_guided', 1))


def make(golden, hidden=None, mask=None, fast=True, stride=4):
    """The tiny model with published weights and stored sentences."""
    data = golden('tubedetr_tiny_b1_stride4')
    weights = golden('tubedetr_tiny_weights')
    if not fast:
        weights = {k: v for k, v in weights.items() if 'fast_' not in k}
    neck = TubeDETRFusionNeck(
        in_channels=48, stride=stride, fast=fast, **TINY)
    return build(neck, TubeDETRHead(**TINY), TUBEDETR, weights,
                 data['text_hidden_in'] if hidden is None else hidden,
                 data['text_mask'] if mask is None else mask)


@pytest.fixture(params=[True, False], ids=['fast', 'nofast'])
def case(request, golden):
    """Stored numbers and the model they belong to."""
    name = 'tubedetr_tiny_b1_stride4' + ('' if request.param else '_nofast')
    return golden(name), make(golden, fast=request.param)


def test_encoder_equals_the_published_one(case):
    data, model = case
    slow, self_weights = [], CapturedWeights(
        [x.self_attn for x in model.neck.spatial_layers])
    model.neck.spatial_layers[-1].register_forward_hook(
        lambda module, args, out: slow.append(out))
    features = data['vis_feat_in']
    fused = model.fuse(batch([features]), [sample(0, 6)])
    close(slow[0].transpose(0, 1), data['enc_memory_slow'])
    close(torch.stack(self_weights.weights), data['enc_self_weights'])
    close(fused.memory[0].transpose(0, 1), data['memory'])
    close(fused.pos.expand(6, -1, -1).transpose(0, 1), data['memory_pos'])
    assert torch.equal(fused.mask.expand(6, -1), data['memory_mask'])
    assert fused.cls is None
    assert torch.equal(features[::4], data['slow_feat_in'])
    close(model.neck.project(features[None, ::4])[0].transpose(1, 2),
          data['proj_slow'].flatten(2))
    if 'proj_fast' in data:
        close(model.neck.project(features[None])[0].transpose(1, 2),
              data['proj_fast'].flatten(2))


def test_outputs_equal_the_published_ones(case):
    data, model = case
    hidden = []
    model.head.decoder.norm.register_forward_hook(
        lambda module, args, out: hidden.append(out))
    inputs = batch([data['vis_feat_in']])
    head = model.head
    memory = model.fuse(inputs, [sample(0, 6)])
    query = head.make_query(head.embed_time(memory))
    close(query.transpose(0, 1), data['query_embed'])
    model.head.need_attention = True
    outs = model(inputs, [sample(0, 6)])
    close(torch.stack(hidden).transpose(1, 2), data['dec_hs'])
    close(outs.named('time_attention'), data['weights_all'])
    close(outs.named('cell_attention'), data['ca_weights_all'])
    for layer, prefix in enumerate(('aux0.', '')):
        close(outs.boxes[layer], data[f'{prefix}pred_boxes'])
        close(outs.span_logits[layer], data[f'{prefix}pred_sted'])
        close(outs.named('time_attention')[layer], data[f'{prefix}weights'])
        close(outs.named('cell_attention')[layer], data[f'{prefix}ca_weights'])


def test_time_in_content_starts_from_frame_numbers(golden):
    data, model = golden('tubedetr_tiny_b1_stride4'), make(golden)
    seen = []
    model.head.decoder.layers[0].register_forward_pre_hook(
        lambda module, args: seen.append(args[0]))
    for model.head.time_in_content in (False, True):
        model(batch([data['vis_feat_in']]), [sample(0, 6)])
    time = time_sine_embedding(6, seen[0].shape[-1])
    assert (seen[0] == 0).all()
    assert torch.equal(seen[1][0], time)


def test_losses_and_gradients_equal_the_published_ones(golden):
    data = golden('tubedetr_tiny_b1_stride4')
    grads = golden('tubedetr_tiny_grad_b1')
    hidden = data['text_hidden_in'].clone().requires_grad_()
    features = data['vis_feat_in'].clone().requires_grad_()
    model = make(golden, hidden)
    losses = model.loss(
        batch([features]),
        [sample(0, 6, grads['inter_idx'], grads['gt_boxes_cxcywh'])])
    check_losses(losses, grads, TERMS, 2)
    sum(losses.values()).backward()
    # the fast branch sends no gradient to the backbone
    close(features.grad[::4], grads['grad.slow_feat_in'])
    for frame in (1, 2, 3, 5):
        assert (features.grad[frame] == 0).all()
    close(hidden.grad, grads['grad.text_hidden_in'])
    check_gradients(model, TUBEDETR, 'tubedetr',
                    golden('tubedetr_tiny_weights'))


def test_loss_terms_equal_the_published_ones(golden):
    data = golden('tubedetr_loss_b1')
    leaves = stored_outputs(data)
    mask = torch.zeros(1, 12, dtype=torch.bool)

    def stack(name, *shape):
        return torch.stack(leaves[name]).view(-1, 1, 12, *shape)

    outs = TubeOutputs(
        boxes=stack('pred_boxes', 4),
        span_logits=stack('pred_sted', 2),
        frame_mask=mask,
        extras=dict(time_attention=stack('weights', 12)))
    samples = [
        sample(0, 12, data['inter_idx_inclusive'][0],
               data['gt_boxes_cxcywh'])
    ]
    head = TubeDETRHead(**TINY)
    losses = head.loss_by_feat(outs, collect_targets(samples, mask))
    check_losses(losses, data, TERMS, len(outs.boxes))
    sum(losses.values()).backward()
    check_output_gradients(leaves, data)


@pytest.mark.parametrize('stride', [1, 2, 4, 5])
def test_padded_batch_equals_single_videos(golden, stride):
    """Also where ceil(T / stride) differs, which the published code cannot."""
    torch.manual_seed(0)
    hidden = torch.randn(3, 9, 40)
    words = torch.tensor([9, 4, 6])
    mask = torch.arange(9) >= words[:, None]
    model = make(golden, hidden, mask, stride=stride)
    videos = [torch.randn(t, 48, 4, 3) for t in (10, 3, 6)]
    outs = model(batch(videos), [sample(i, len(v))
                                 for i, v in enumerate(videos)])
    for i, video in enumerate(videos):
        single = make(golden, hidden[i:i + 1, :words[i]],
                      mask[i:i + 1, :words[i]], stride=stride)
        alone = single(batch([video]), [sample(0, len(video))])
        for name in ('boxes', 'span_logits'):
            both = getattr(outs, name)[:, i, :len(video)]
            close(both, getattr(alone, name)[:, 0], atol=1e-4)


def test_loss_of_a_batch_is_the_mean_of_its_videos(golden):
    torch.manual_seed(0)
    data = golden('tubedetr_tiny_b1_stride4')
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


def test_padding_never_wins_as_it_does_in_the_published_code(golden):
    data = golden('tubedetr_postprocess')
    logits = data['b_padded_leak.pred_sted']
    durations = data['b_padded_leak.durations']
    mask = torch.arange(7) >= durations[:, None]
    (first, last, _), = best_spans(logits, mask, 1)[1]
    assert first < last < durations[1]
    # without the mask, as published, the best span touches the padding
    (first, last, _), = best_spans(logits, torch.zeros_like(mask), 1)[1]
    assert last >= durations[1]


def test_fast_branch_starts_from_nothing():
    neck = TubeDETRFusionNeck(in_channels=48, **TINY)
    neck.init_weights()
    memory = torch.randn(1, 5, 19, 64)
    assert torch.equal(
        neck.add_fast(memory, torch.randn(1, 5, 48, 4, 3)), memory)


def test_stride_must_be_positive():
    with pytest.raises(ValueError, match='stride'):
        TubeDETRFusionNeck(stride=0)


def test_predict_reads_no_ground_truth(golden):
    data, model = golden('tubedetr_tiny_b1_stride4'), make(golden)
    with torch.no_grad():
        out, = model.predict(batch([data['vis_feat_in']]), [sample(0, 6)])
    start, end = out.pred_tube.span
    assert 0 <= start < end <= 6
    assert len(out.pred_attendance) == 0
    close(torch.from_numpy(out.pred_start), data['pred_sted'][0, :,
                                                           0].softmax(0))


def test_every_parameter_is_trained(golden):
    data, model = golden('tubedetr_tiny_b1_stride4'), make(golden)
    model.train()
    losses = model.loss(
        batch([data['vis_feat_in']]),
        [sample(0, 6, (1, 4), torch.full((4, 4), 0.3))])
    sum(losses.values()).backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None]
    assert not missing
