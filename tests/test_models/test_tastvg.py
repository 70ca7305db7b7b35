# Copyright (c) costa_mm authors. All rights reserved.
"""TA-STVG equals the published code, and pads without a trace."""
import pytest
import torch

from costa_mm.models import TASTVGHead
from costa_mm.models.heads.target_queries import chosen_or_all, stretch
from costa_mm.structures import TubeOutputs
from costa_mm.weights.two_stream_names import TASTVG
from .parity import (CapturedWeights, check_output_gradients, close, sample,
                     stored_outputs)
from .two_streams import (APPEARANCE, HIDDEN, MOTION, OUTPUT, SIZES,
                          check_gradients, clipped, collect, make, padded,
                          video, weights)

# published name: ours, weight; of every layer, once
LAYER_TERMS = dict(
    loss_bbox=('loss_bbox', 5),
    loss_giou=('loss_giou', 4),
    loss_sted=('loss_span', 12),
    loss_actioness=('loss_attend_dec', 2))
VIDEO_TERMS = dict(
    logits_f_m='loss_frames_motion',
    logits_f_a='loss_frames_appearance',
    logits_r_a='loss_attributes_appearance',
    logits_r_m='loss_attributes_motion')
CHANNELS = APPEARANCE + MOTION
STREAMS = ('appearance', 'motion')


def head_of(**kwargs):
    return TASTVGHead(
        num_layers=2,
        **SIZES,
        loss_span=dict(type='SpanKLLoss', loss_weight=12.),
        **kwargs)


def model_of(golden, hidden=None, mask=None, **kwargs):
    return make(golden, 'tastvg', head_of(**kwargs), TASTVG, hidden, mask)


def labelled(truth, data):
    """With the stored attribute labels."""
    truth.gt_motion_labels = data['motion_labels']
    truth.gt_appearance_labels = data['appearance_labels']
    return truth


def test_encoder_equals_the_published_one(golden):
    data, model = golden('tastvg_tiny_b1'), model_of(golden)
    fused = model.fuse(video(data), [sample(0, 6)])
    close(fused.memory[0].transpose(0, 1), data['enc_memory'], **HIDDEN)
    close(fused.cls[0], data['enc_frames_cls'], **HIDDEN)
    close(fused.extras['video_cls'][0], data['enc_videos_cls'], **HIDDEN)
    assert torch.equal(fused.mask, data['enc_mask'][:1])
    close(model.head.anchor.logits(fused.cls)[0], data['anchor_logit'],
          **HIDDEN)


def test_queries_equal_the_published_ones(golden):
    """Both passes: frames, attributes, maps and the queries themselves."""
    data, model = golden('tastvg_tiny_b1'), model_of(golden)
    head = model.head
    fused = model.fuse(video(data), [sample(0, 6)])
    streams = head.split(fused)
    scores = head.score_frames(streams)
    for name in STREAMS:
        close(getattr(scores, name)[0], data[f'sample_logit_{name}'],
              **OUTPUT)
    activations = head.activate(streams)
    passes = (head.choose(scores, fused.frame_mask),
              head.choose_again(data['action_logit_pass0'][None],
                                fused.frame_mask))
    for i, chosen in enumerate(passes):
        assert torch.equal(chosen[0], data['selected'][i])
        queries = head.make_queries(streams, activations, chosen)
        for name, activation in zip(STREAMS, activations):
            close(getattr(queries, name)[0], data[f'query_{name}'][i],
                  **HIDDEN)
            close(getattr(queries, f'{name}_attributes'),
                  data[f'attr_logit_{name}_pass{i}'], **OUTPUT)
            close(activation.maps[chosen],
                  data[f'attr_map_{name}_pass{i}'], atol=5e-5)


def test_decoders_equal_the_published_ones(golden):
    """Ours decodes the boxes of the second pass only; here, of both."""
    data, model = golden('tastvg_tiny_b1'), model_of(golden)
    head = model.head
    fused = model.fuse(video(data), [sample(0, 6)])
    spatial_memory, temporal_memory = head.split_memory(fused)
    temporal_weights = CapturedWeights(
        [x.cross_attn for x in head.temporal_decoder.layers])
    spatial_weights = CapturedWeights(
        [x.self_attn for x in head.spatial_decoder.layers])
    embedded, content = [], []
    collect(head.spatial_decoder, 'embed', embedded)
    for layer in head.spatial_decoder.layers:
        collect(layer, 'read', content)
    for i in range(2):
        temporal = head.forward_temporal(
            temporal_memory, head.repeat(data['query_motion'][i:i + 1],
                                         fused), True)
        close(temporal.hidden, data['time_hs'][i], **HIDDEN)
        close(temporal.time_weights, data['time_weights'][i], **OUTPUT)
        out = head.spatial_decoder(
            head.anchor(fused.cls),
            spatial_memory,
            content=head.repeat(data['query_appearance'][i:i + 1], fused),
            need_weights=True)
        close(out.boxes, data['boxes'][i], **OUTPUT)
        close(out.attention, data['dec_cross_weights'][i], **OUTPUT)
        if i == 0:
            close(head.attend(temporal.hidden)[-1],
                  data['action_logit_pass0'], **OUTPUT)
    close(torch.stack(temporal_weights.weights),
          data['time_cross_weights'], **OUTPUT)
    close(torch.stack(spatial_weights.weights), data['dec_self_weights'],
          **OUTPUT)
    for i, name in enumerate(('dec_query_pos', 'dec_query_sine')):
        close(torch.stack([e[i] for e in embedded]), data[name], **HIDDEN)
    close(torch.stack([c[0] for c in content]), data['dec_out'], **HIDDEN)


def test_outputs_equal_the_published_ones(golden):
    data, model = golden('tastvg_tiny_b1'), model_of(golden)
    outs = model(video(data), [sample(0, 6)])
    for layer, prefix in enumerate(('aux0.', '')):
        close(outs.boxes[layer], data[f'{prefix}pred_boxes'], **OUTPUT)
        close(outs.span_logits[layer], data[f'{prefix}pred_sted'], **OUTPUT)
        close(outs.attendance[layer], data[f'{prefix}pred_actioness'],
              **OUTPUT)
    for name in STREAMS:
        close(outs.named(f'{name}_frames'), data[f'logits_f_{name[0]}'],
              **OUTPUT)
        close(outs.named(f'{name}_attributes'), data[f'logits_r_{name[0]}'],
              **OUTPUT)
    assert torch.equal(outs.named('chosen')[0], data['selected'][1])
    score = (outs.named('appearance_frames').sigmoid() +
             outs.named('motion_frames').sigmoid()) / 2
    close(score, data['sample_score'], **OUTPUT)


@pytest.mark.parametrize('case, options', [
    ('theta_vidstg', dict(frame_threshold=0.45)),
    ('nonechosen', dict(frame_threshold=2., second_pass=False)),
])
def test_other_thresholds(golden, case, options):
    data, model = golden('tastvg_tiny_b1'), model_of(golden, **options)
    outs = model(video(data), [sample(0, 6)])
    close(outs.boxes, data[f'{case}.pred_boxes'], **OUTPUT)
    close(outs.span_logits, data[f'{case}.pred_sted'], **OUTPUT)
    assert torch.equal(
        outs.named('chosen')[0], data[f'{case}.selected'][-1])


def test_prediction_equals_the_published_one(golden):
    data, model = golden('tastvg_tiny_b1'), model_of(golden)
    meta = sample(0, 6)
    ids = data['post_frame_ids']
    meta.set_metainfo(
        dict(
            ori_shape=tuple(data['post_size_hw'].tolist()),
            frame_ids=ids.numpy(),
            num_frames=int(ids[-1]) + 1))
    with torch.no_grad():
        out, = model.predict(video(data), [meta])
    assert list(out.pred_tube.span) == data['post_sted'].tolist()
    close(
        torch.from_numpy(out.pred_boxes).float(),
        clipped(data['post_boxes_xyxy'], data['post_size_hw']),
        atol=5e-3)


def check_losses(losses, data, num_layers):
    assert len(losses) == len(LAYER_TERMS) * num_layers + len(VIDEO_TERMS)
    for layer in range(num_layers):
        last = layer == num_layers - 1
        for theirs, (ours, weight) in LAYER_TERMS.items():
            value = losses[ours if last else f'd{layer}.{ours}']
            close(value / weight,
                  data[f'loss.{theirs}' + ('' if last else f'_{layer}')],
                  **OUTPUT)
    for theirs, ours in VIDEO_TERMS.items():
        close(losses[ours], data[f'loss.{theirs}'], **OUTPUT)
    close(sum(losses.values()), data['total'])


def test_losses_and_gradients_equal_the_published_ones(golden):
    data, grads = golden('tastvg_tiny_b1'), golden('tastvg_tiny_grad_b1')
    hidden = data['text_hidden_in'].clone().requires_grad_()
    model = model_of(golden, hidden)
    inputs = video(data)
    inputs.frames.requires_grad_()
    span = grads['actioness'].nonzero().flatten()[[0, -1]]
    truth = labelled(sample(0, 6, span, grads['gt_boxes_cxcywh']), grads)
    memory = model.fuse(inputs, [truth])
    targets = model.head.get_targets([truth], memory.frame_mask)
    queries = []
    collect(model.head, 'make_queries', queries)
    outs = model.head(memory, targets)
    made, = queries  # training decodes once
    close(made.appearance, grads['query_appearance'], **HIDDEN)
    close(made.motion, grads['query_motion'], **HIDDEN)
    assert torch.equal(outs.named('chosen'), grads['selected'])
    close(outs.boxes, grads['pred_boxes_all'], **OUTPUT)
    close(outs.span_logits, grads['pred_sted_all'], **OUTPUT)
    losses = model.head.loss_by_feat(outs, targets)
    check_losses(losses, grads, 2)
    sum(losses.values()).backward()
    own = inputs.frames.grad[0]
    close(own[:, :APPEARANCE], grads['grad.vis_feat_in'])
    close(own[:, APPEARANCE:APPEARANCE + 32],
          grads['grad.vid_feat_in_first32'])
    close(own[:, APPEARANCE:].norm(), grads['grad.vid_feat_in_l2'])
    close(hidden.grad, grads['grad.text_hidden_in'])
    check_gradients(model, TASTVG, 'tastvg', weights(golden, 'tastvg'))


def test_loss_terms_equal_the_published_ones(golden):
    data = golden('tastvg_loss_b1')
    leaves = stored_outputs(data)
    mask = torch.zeros(1, 12, dtype=torch.bool)

    def stack(name, *shape):
        return torch.stack(leaves[name]).view(-1, 1, 12, *shape)

    outs = TubeOutputs(
        boxes=stack('pred_boxes', 4),
        span_logits=stack('pred_sted', 2),
        frame_mask=mask,
        attendance=stack('pred_actioness'),
        extras=dict(
            appearance_frames=leaves['logits_f_a'][0][None],
            motion_frames=leaves['logits_f_m'][0][None],
            appearance_attributes=leaves['logits_r_a'][0],
            motion_attributes=leaves['logits_r_m'][0]))
    truth = labelled(
        sample(0, 12, data['gt_idx_inclusive'][0], data['gt_boxes_cxcywh']),
        data)
    head = head_of()
    losses = head.loss_by_feat(outs, head.get_targets([truth], mask))
    check_losses(losses, data, 3)
    sum(losses.values()).backward()
    once = {
        name: leaves.pop(name)
        for name in list(leaves) if name.startswith('logits')
    }
    check_output_gradients(leaves, data)
    for name, (leaf, ) in once.items():
        close(leaf.grad, data[f'grad.{name}'])


def test_padded_batch_equals_single_videos(golden):
    """Of any length, grid and sentence; one frame, one row, one cell."""
    torch.manual_seed(1)
    videos = [
        torch.randn(t, CHANNELS, *grid)
        for t, grid in ((5, (4, 6)), (3, (1, 5)), (1, (3, 2)), (2, (1, 1)))
    ]
    words = [9, 4, 6, 3]
    hidden = torch.randn(4, 9, 40)
    mask = torch.arange(9) >= torch.tensor(words)[:, None]
    metas = [sample(i, len(v)) for i, v in enumerate(videos)]
    outs = model_of(golden, hidden, mask)(padded(videos, 1), metas)
    for i, v in enumerate(videos):
        single = model_of(golden, hidden[i:i + 1, :words[i]],
                          mask[i:i + 1, :words[i]])
        alone = single(padded([v]), [sample(0, len(v))])
        for name in ('boxes', 'span_logits', 'attendance'):
            both = outs.named(name)[:, i, :len(v)]
            assert both.isfinite().all()
            close(both, alone.named(name)[:, 0], atol=1e-4)
        for name in ('appearance_frames', 'motion_frames', 'chosen'):
            both = outs.named(name)[i, :len(v)]
            close(both, alone.named(name)[0], atol=1e-4)
        for name in ('appearance_attributes', 'motion_attributes'):
            close(outs.named(name)[i], alone.named(name)[0], atol=1e-4)
        assert not outs.named('chosen')[i, len(v):].any()


def two_samples():
    videos = [torch.randn(t, CHANNELS, 4, 6) for t in (6, 3)]
    samples = [
        sample(i, len(v), (1, 2), torch.full((2, 4), 0.3))
        for i, v in enumerate(videos)
    ]
    return videos, samples


def test_loss_of_a_batch_is_the_mean_of_its_videos(golden):
    torch.manual_seed(0)
    data = golden('tastvg_tiny_b1')
    model = model_of(golden, data['text_hidden_in'].repeat(2, 1, 1),
                     data['text_mask'].repeat(2, 1))
    videos, samples = two_samples()
    for truth, label in zip(samples, (3, 7)):
        truth.gt_motion_labels = torch.tensor([label, 11])
        truth.gt_appearance_labels = torch.tensor([], dtype=torch.long)
    both = model.loss(padded(videos, 1), samples)
    alone = [model.loss(padded([v]), [s]) for v, s in zip(videos, samples)]
    for name, value in both.items():
        close(value, (alone[0][name] + alone[1][name]) / 2, atol=1e-4)


def test_videos_without_labels_do_not_count(golden):
    """One labelled video of two; none at all."""
    torch.manual_seed(0)
    data = golden('tastvg_tiny_b1')
    model = model_of(golden, data['text_hidden_in'].repeat(2, 1, 1),
                     data['text_mask'].repeat(2, 1))
    videos, samples = two_samples()
    samples[0].gt_motion_labels = torch.tensor([5])
    both = model.loss(padded(videos), samples)
    alone = model.loss(padded(videos[:1]), samples[:1])
    name = 'loss_attributes_motion'
    close(both[name], alone[name], atol=1e-4)
    assert both['loss_attributes_appearance'] == 0
    sum(both.values()).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_labels_beyond_the_classes_are_refused():
    truth = sample(7, 2, (0, 1), torch.full((2, 4), 0.3))
    truth.gt_motion_labels = torch.tensor([2, 60])
    with pytest.raises(ValueError, match="'7' has the motion labels"):
        head_of().get_targets([truth], torch.zeros(1, 2, dtype=torch.bool))


def test_no_true_frame_in_the_clip(golden):
    data, model = golden('tastvg_tiny_b1'), model_of(golden)
    empty = sample(0, 6)
    empty.gt_boxes = torch.zeros(6, 4)
    empty.gt_box_mask = torch.zeros(6, dtype=torch.bool)
    losses = model.loss(video(data), [empty])
    sum(losses.values()).backward()
    for name, value in losses.items():
        assert value.isfinite()
        zero = 'attend' not in name and 'frames' not in name
        assert (value == 0) == zero, name
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize('left_out', [
    (), ('loss_frames_motion', 'loss_attributes_motion'),
    ('loss_frames_appearance', 'loss_attributes_appearance',
     'loss_attributes_motion', 'loss_attend_dec')])
def test_every_parameter_is_trained(golden, left_out):
    data = golden('tastvg_tiny_b1')
    model = model_of(golden, **dict.fromkeys(left_out))
    model.train()
    losses = model.loss(
        video(data), [sample(0, 6, (1, 4), torch.full((4, 4), 0.3))])
    assert not [n for n in losses if n.endswith(left_out or 'none')]
    sum(losses.values()).backward()
    assert not [n for n, p in model.named_parameters()
                if p.requires_grad and p.grad is None]
    assert all(p.requires_grad for p in model.parameters()) != bool(left_out)


def test_predict_reads_no_ground_truth(golden):
    data, model = golden('tastvg_tiny_b1'), model_of(golden)
    model.test_cfg = type(model.test_cfg)(two_pass=True)
    with torch.no_grad():
        out, = model.predict(video(data), [sample(0, 6)])
    start, end = out.pred_tube.span
    assert 0 <= start < end <= 6
    assert out.pred_boxes.shape == (6, 4)


def test_attention_over_places_and_words(golden):
    data, model = golden('tastvg_tiny_b1'), model_of(golden)
    maps, = model.attention_maps(video(data), [sample(0, 6)])
    stored = data['dec_cross_weights'][1].squeeze(2)
    close(maps.cells, stored[..., :24].view(2, 6, 4, 6), **OUTPUT)
    close(maps.words, stored[..., 24:], **OUTPUT)


def test_stretch():
    values = torch.tensor([[1., 3., 2., 9.], [4., 4., 4., 9.]])
    mask = torch.tensor([[False] * 3 + [True]] * 2)
    expected = torch.tensor([[0., 1., 0.5, 0.], [1., 1., 1., 0.]])
    assert torch.equal(stretch(values, mask), expected)


def test_chosen_or_all():
    wanted = torch.tensor([[True, False, True], [False, False, True]])
    mask = torch.tensor([[False] * 3, [False, False, True]])
    expected = torch.tensor([[True, False, True], [True, True, False]])
    assert torch.equal(chosen_or_all(wanted, mask), expected)
