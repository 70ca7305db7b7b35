# Copyright (c) costa_mm authors. All rights reserved.
"""CG-STVG equals the published code, and pads without a trace."""
import pytest
import torch

from costa_mm.models import CGSTVGHead
from costa_mm.models.heads import collect_targets
from costa_mm.models.layers import covered_cells
from costa_mm.models.losses import BoxConfidenceLoss
from costa_mm.structures import TubeOutputs
from costa_mm.weights.two_stream_names import CGSTVG
from .parity import (CapturedWeights, check_losses, check_output_gradients,
                     close, sample, stored_outputs)
from .two_streams import (APPEARANCE, HIDDEN, MOTION, OUTPUT, SIZES,
                          check_gradients, clipped, collect, make, padded,
                          video, weights)

# what the published code does where ours has another default
PUBLISHED = dict(
    corners='ceil_right',
    loss_confidence=dict(
        type='BoxConfidenceLoss', kind='bce_of_sum', detach_boxes=False))
# published name: ours, weight
TERMS = dict(
    loss_bbox=('loss_bbox', 5),
    loss_giou=('loss_giou', 4),
    loss_sted=('loss_span', 10),
    loss_conf=('loss_confidence', 1),
    loss_actioness=('loss_attend_dec', 2))
CHANNELS = APPEARANCE + MOTION


def head_of(**kwargs):
    return CGSTVGHead(num_layers=3, **SIZES, **{**PUBLISHED, **kwargs})


def model_of(golden, hidden=None, mask=None, **kwargs):
    return make(golden, 'cgstvg', head_of(**kwargs), CGSTVG, hidden, mask)


def test_encoder_equals_the_published_one(golden):
    data, model = golden('cgstvg_tiny_b1'), model_of(golden)
    fused = model.fuse(video(data), [sample(0, 6)])
    close(fused.memory[0].transpose(0, 1), data['enc_memory'], **HIDDEN)
    close(fused.cls[0], data['enc_frames_cls'], **HIDDEN)
    close(fused.extras['video_cls'][0], data['enc_videos_cls'], **HIDDEN)
    assert torch.equal(fused.mask, data['enc_mask'][:1])
    place = data['vis_pos'][0].flatten(1).T
    close(fused.pos[0, :24], place)
    close(fused.pos[0, 33:], place)
    assert (fused.pos[0, 24:33] == 0).all()
    text = model.encode_text(['0'])
    close(text.tokens[0], data['text_feat'].squeeze(1), **HIDDEN)
    cells = model.neck.project(data['vis_feat_in'][None])
    close(cells[0].mT, data['vis_feat'].flatten(2), **HIDDEN)
    cells = model.neck.project_motion(data['vid_feat_in'][None])
    close(cells[0].mT, data['vid_feat'].flatten(2), **HIDDEN)
    close(model.head.anchor.logits(fused.cls)[0], data['anchor_logit'],
          **HIDDEN)


def test_temporal_decoder_equals_the_published_one(golden):
    data, model = golden('cgstvg_tiny_b1'), model_of(golden)
    fused = model.head.place(model.fuse(video(data), [sample(0, 6)]))
    over_cells = CapturedWeights(
        [x.cross_attn for x in model.head.temporal_decoder.layers])
    temporal = model.head.forward_temporal(fused, need_time_weights=True)
    close(temporal.hidden, data['time_hs'], **HIDDEN)
    close(temporal.time_weights, data['time_weights'], **OUTPUT)
    close(torch.stack(over_cells.weights), data['time_cross_weights'],
          **OUTPUT)
    close(model.head.attend(temporal.hidden)[-1], data['action_logit_last'],
          **OUTPUT)


def test_spatial_decoder_equals_the_published_one(golden):
    data, model = golden('cgstvg_tiny_b1'), model_of(golden)
    decoder = model.head.spatial_decoder
    seen = dict(embed=[], exchange=[], read=[], refine=[], pool=[], tokens=[])
    collect(decoder, 'embed', seen['embed'])
    for layer in decoder.layers:
        for name in ('exchange', 'read'):
            collect(layer, name, seen[name])
    for layer in decoder.layers[1:]:
        collect(layer, 'refine', seen['refine'])
    for name in ('pool', 'tokens'):
        collect(decoder.context, name, seen[name])
    over_time = CapturedWeights([x.self_attn for x in decoder.layers])
    fused = model.head.place(model.fuse(video(data), [sample(0, 6)]))
    out = model.head.forward_spatial(
        fused, data['action_logit_last'][None], need_cell_weights=True)
    for i in range(3):
        close(seen['embed'][i][0], data['dec_query_pos'][i], **HIDDEN)
        close(seen['embed'][i][1], data['dec_query_sine'][i], **HIDDEN)
        close(seen['exchange'][i], data['dec_after_self'][i], **HIDDEN)
        close(seen['read'][i][0], data['dec_out'][i], **HIDDEN)
        close(seen['pool'][i][0], data['roi_2d'][i], **HIDDEN)
        close(seen['pool'][i][1], data['roi_3d'][i], **HIDDEN)
    close(out.attention, data['dec_cross_weights'], **OUTPUT)
    close(torch.stack(over_time.weights), data['dec_self_weights'], **OUTPUT)
    close(out.confidence, data['roi_conf'], **OUTPUT)
    assert torch.equal(out.chosen[:, 0], data['context_selected'])
    # the first layer has none, what follows the last one is not made
    assert len(seen['tokens']) == 2
    for i in (1, 2):
        chosen = data['context_selected'][i - 1].repeat(2)
        close(seen['tokens'][i - 1][0, chosen], data[f'context_in{i}'],
              **HIDDEN)
        close(seen['refine'][i - 1], data[f'ca2_out{i}'], **HIDDEN)
    streams = decoder.context
    for i, (appearance, motion) in enumerate(seen['pool']):
        close(streams.appearance_confidence(appearance).sigmoid(),
              data['roi_conf_appearance'][i], **OUTPUT)
        close(streams.motion_confidence(motion).sigmoid(),
              data['roi_conf_motion'][i], **OUTPUT)


def test_outputs_equal_the_published_ones(golden):
    data, model = golden('cgstvg_tiny_b1'), model_of(golden)
    outs = model(video(data), [sample(0, 6)])
    for layer, prefix in enumerate(('aux0.', 'aux1.', '')):
        close(outs.boxes[layer], data[f'{prefix}pred_boxes'], **OUTPUT)
        close(outs.span_logits[layer], data[f'{prefix}pred_sted'], **OUTPUT)
        close(outs.attendance[layer], data[f'{prefix}pred_actioness'],
              **OUTPUT)
        close(outs.named('confidence')[layer], data[f'{prefix}boxes_conf'],
              **OUTPUT)
    assert outs.named('cell_attention') is None


@pytest.mark.parametrize('case, thresholds', [
    ('theta_vidstg', dict(context_confidence=0.5, context_attend=-0.5)),
    ('nocontext', dict(context_confidence=2.)),
])
def test_other_thresholds(golden, case, thresholds):
    data, model = golden('cgstvg_tiny_b1'), model_of(golden, **thresholds)
    outs = model(video(data), [sample(0, 6)])
    close(outs.boxes, data[f'{case}.pred_boxes'], **OUTPUT)
    close(outs.named('confidence'), data[f'{case}.boxes_conf'], **OUTPUT)
    assert torch.equal(
        outs.named('context')[:, 0], data[f'{case}.context_selected'])


def test_ablation_equals_a_model_that_never_chooses(golden):
    """Same boxes; none of the context's parameters."""
    data, whole = golden('cgstvg_tiny_b1'), model_of(golden)
    model = make(golden, 'cgstvg', head_of(), CGSTVG)
    head = CGSTVGHead(num_layers=3, context=False, **SIZES)
    state = whole.head.state_dict()
    report = head.load_state_dict(state, strict=False)
    assert not report.missing_keys
    assert all('context' in k for k in report.unexpected_keys)
    model.head = head.eval()
    outs = model(video(data), [sample(0, 6)])
    close(outs.boxes, data['nocontext.pred_boxes'], **OUTPUT)
    assert outs.named('confidence') is None
    losses = model.loss(
        video(data), [sample(0, 6, (1, 4), torch.full((4, 4), 0.3))])
    assert not any('confidence' in name for name in losses)


def test_prediction_equals_the_published_one(golden):
    data, model = golden('cgstvg_tiny_b1'), model_of(golden)
    meta = sample(0, 6)
    height, width = data['post_size_hw'].tolist()
    ids = data['post_frame_ids']
    meta.set_metainfo(
        dict(
            ori_shape=(height, width),
            frame_ids=ids.numpy(),
            num_frames=int(ids[-1]) + 1))
    with torch.no_grad():
        out, = model.predict(video(data), [meta])
    assert list(out.pred_tube.span) == data['post_sted'].tolist()
    close(
        torch.from_numpy(out.pred_boxes).float(),
        clipped(data['post_boxes_xyxy'], data['post_size_hw']),
        atol=5e-3)


def test_losses_and_gradients_equal_the_published_ones(golden):
    data, grads = golden('cgstvg_tiny_b1'), golden('cgstvg_tiny_grad_b1')
    hidden = data['text_hidden_in'].clone().requires_grad_()
    model = model_of(golden, hidden)
    inputs = video(data)
    inputs.frames.requires_grad_()
    span = grads['actioness'].nonzero().flatten()[[0, -1]]
    truth = sample(0, 6, span, grads['gt_boxes_cxcywh'])
    tokens, regions, content = [], [], []
    collect(model.head.spatial_decoder.context, 'tokens', tokens)
    collect(model.head.spatial_decoder.context, 'pool', regions)
    for layer in model.head.spatial_decoder.layers:
        collect(layer, 'read', content)
    memory = model.fuse(inputs, [truth])
    targets = model.head.get_targets([truth], memory.frame_mask)
    outs = model.head(memory, targets)
    close(outs.boxes, grads['pred_boxes_all'], **OUTPUT)
    close(outs.named('confidence'), grads['boxes_conf_all'], **OUTPUT)
    assert torch.equal(
        outs.named('context')[:, 0], grads['context_selected'])
    for i in range(3):
        close(content[i][0], grads['dec_out'][i], **HIDDEN)
        close(regions[i][0], grads['roi_2d'][i], **HIDDEN)
    for i in (1, 2):
        chosen = grads['context_selected'][i - 1].repeat(2)
        close(tokens[i - 1][0, chosen], grads[f'context_in{i}'], **HIDDEN)
    losses = model.head.loss_by_feat(outs, targets)
    check_losses(losses, grads, TERMS, 3)
    sum(losses.values()).backward()
    own = inputs.frames.grad[0]
    close(own[:, :APPEARANCE], grads['grad.vis_feat_in'])
    close(own[:, APPEARANCE:APPEARANCE + 32],
          grads['grad.vid_feat_in_first32'])
    close(own[:, APPEARANCE:].norm(), grads['grad.vid_feat_in_l2'])
    close(hidden.grad, grads['grad.text_hidden_in'])
    check_gradients(model, CGSTVG, 'cgstvg', weights(golden, 'cgstvg'))


@pytest.mark.parametrize('layer', range(3))
def test_confidence_loss_as_published_for_vidstg(golden, layer):
    data = golden('cgstvg_tiny_grad_b1')
    true, inside = data['gt_boxes_cxcywh'][None], slice(1, 5)
    loss = BoxConfidenceLoss(kind='smooth_l1')
    value = loss(data['boxes_conf_all'][layer:layer + 1, inside],
                 data['pred_boxes_all'][layer:layer + 1, inside], true,
                 torch.full((1, 4), 0.25))
    close(value, data[f'vidstg_variant.loss_conf_{layer}'], **OUTPUT)


def test_loss_terms_equal_the_published_ones(golden):
    data = golden('cgstvg_loss_b1')
    span = data['gt_idx_inclusive'][0]
    leaves = stored_outputs(data)
    mask = torch.zeros(1, 12, dtype=torch.bool)

    def stack(name, *shape):
        return torch.stack(leaves[name]).view(-1, 1, 12, *shape)

    outs = TubeOutputs(
        boxes=stack('pred_boxes', 4),
        span_logits=stack('pred_sted', 2),
        frame_mask=mask,
        attendance=stack('pred_actioness'),
        extras=dict(confidence=stack('boxes_conf')))
    truth = sample(0, 12, span, data['gt_boxes_cxcywh'])
    losses = head_of().loss_by_feat(outs, collect_targets([truth], mask))
    check_losses(losses, data, TERMS, 3)
    sum(losses.values()).backward()
    check_output_gradients(leaves, data)


def test_regions_equal_the_published_ones(golden):
    data = golden('cgstvg_functions')
    mask = torch.zeros(1, 4, 8, dtype=torch.bool)
    boxes = data['roi_boxes_cxcywh'][None]
    covered = covered_cells(boxes, mask, corners='ceil_right')
    assert torch.equal(covered[0], data['roi_cells_averaged'])
    even = covered / covered.flatten(2).sum(-1)[..., None, None]
    close(even[0], data['roi_weight'])
    # rounded like the other corners, the right border is never beyond
    rounded = covered_cells(boxes, mask)
    assert (rounded <= covered).float().mean() > 0.99
    assert not torch.equal(rounded, covered)
    # padding changes nothing
    wide = torch.ones(1, 6, 11, dtype=torch.bool)
    wide[:, :4, :8] = False
    grown = covered_cells(boxes, wide, corners='ceil_right')
    assert torch.equal(grown[:, :, :4, :8], covered)
    assert grown.sum() == covered.sum()


def check_single(golden, videos, words, extra, **kwargs):
    """A batch gives what each of its videos gives alone."""
    torch.manual_seed(0)
    hidden = torch.randn(len(videos), max(words), 40)
    mask = torch.arange(max(words)) >= torch.tensor(words)[:, None]
    metas = [sample(i, len(v)) for i, v in enumerate(videos)]
    outs = model_of(golden, hidden, mask, **kwargs)(
        padded(videos, extra), metas)
    for i, v in enumerate(videos):
        single = model_of(golden, hidden[i:i + 1, :words[i]],
                          mask[i:i + 1, :words[i]], **kwargs)
        alone = single(padded([v]), [sample(0, len(v))])
        for name in ('boxes', 'span_logits', 'attendance', 'confidence'):
            both = outs.named(name)[:, i, :len(v)]
            close(both, alone.named(name)[:, 0], atol=1e-4)
        assert torch.equal(
            outs.named('context')[:, i, :len(v)],
            alone.named('context')[:, 0])
        assert not outs.named('context')[:, i, len(v):].any()
    return outs


def test_padded_batch_equals_single_videos(golden):
    """Of any length, grid and sentence; one frame, one row of cells."""
    torch.manual_seed(1)
    videos = [
        torch.randn(t, CHANNELS, *grid)
        for t, grid in ((5, (4, 6)), (3, (1, 5)), (1, (3, 2)))
    ]
    outs = check_single(
        golden,
        videos, [9, 4, 6],
        1,
        context_confidence=0.8,
        context_attend=-9.)
    chosen = outs.named('context')[:, ~outs.frame_mask]
    assert chosen.any() and not chosen.all()


def test_loss_of_a_batch_is_the_mean_of_its_videos(golden):
    torch.manual_seed(0)
    data = golden('cgstvg_tiny_b1')
    model = model_of(
        golden, data['text_hidden_in'].repeat(2, 1, 1),
        data['text_mask'].repeat(2, 1), context_giou=-1.)
    videos = [torch.randn(t, CHANNELS, 4, 6) for t in (6, 3)]
    samples = [
        sample(i, len(v), (1, 2), torch.full((2, 4), 0.3))
        for i, v in enumerate(videos)
    ]
    both = model.loss(padded(videos, 1), samples)
    alone = [model.loss(padded([v]), [s]) for v, s in zip(videos, samples)]
    for name, value in both.items():
        close(value, (alone[0][name] + alone[1][name]) / 2, atol=1e-4)


def test_no_true_frame_in_the_clip(golden):
    data, model = golden('cgstvg_tiny_b1'), model_of(golden)
    empty = sample(0, 6)
    empty.gt_boxes = torch.zeros(6, 4)
    empty.gt_box_mask = torch.zeros(6, dtype=torch.bool)
    losses = model.loss(video(data), [empty])
    sum(losses.values()).backward()
    for name, value in losses.items():
        assert value.isfinite()
        assert (value == 0) == ('attend' not in name), name
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_predict_reads_no_ground_truth(golden):
    data = golden('cgstvg_tiny_b1')
    model = model_of(golden)
    model.test_cfg = type(model.test_cfg)(two_pass=True)
    with torch.no_grad():
        out, = model.predict(video(data), [sample(0, 6)])
    start, end = out.pred_tube.span
    assert 0 <= start < end <= 6
    assert out.pred_boxes.shape == (6, 4)


def test_attention_over_places_and_words(golden):
    """Both streams' cells lie at the same places."""
    data, model = golden('cgstvg_tiny_b1'), model_of(golden)
    maps, = model.attention_maps(video(data), [sample(0, 6)])
    stored = data['dec_cross_weights'].squeeze(2)
    cells = (stored[..., :24] + stored[..., 33:]).view(3, 6, 4, 6)
    close(maps.cells, cells, **OUTPUT)
    close(maps.words, stored[..., 24:33], **OUTPUT)


@pytest.mark.parametrize('left_out', [
    (), ('loss_confidence', 'loss_attend_dec')])
def test_every_parameter_is_trained(golden, left_out):
    data = golden('cgstvg_tiny_b1')
    model = model_of(golden, **dict.fromkeys(left_out))
    model.train()
    losses = model.loss(
        video(data), [sample(0, 6, (1, 4), torch.full((4, 4), 0.3))])
    sum(losses.values()).backward()
    assert not [n for n, p in model.named_parameters()
                if p.requires_grad and p.grad is None]
    assert all(p.requires_grad for p in model.parameters()) != bool(left_out)


@pytest.mark.parametrize('kind', ['bce', 'smooth_l1', 'bce_of_sum'])
@pytest.mark.parametrize('detach', [True, False])
def test_confidence_loss(kind, detach):
    """Least where the confidence says the overlap; boxes as wished."""
    true = torch.tensor([[[.5, .5, .2, .2]]])
    boxes = torch.tensor([[[.6, .5, .2, .2]]], requires_grad=True)  # IoU 1/3
    loss = BoxConfidenceLoss(kind=kind, detach_boxes=detach)
    one = torch.ones(1, 1)
    sums = torch.linspace(0.02, 1.98, 99)
    values = [
        loss(s * one, boxes, true, one).detach() for s in sums
    ]
    best = sums[int(torch.stack(values).argmin())].item()
    assert best == pytest.approx(
        dict(bce=2 / 3, smooth_l1=1 / 3, bce_of_sum=0.02)[kind], abs=0.011)
    loss(one.clone().requires_grad_(), boxes, true, one).backward()
    assert (boxes.grad is None) == detach


def test_anchors_and_boxes_begin_on_the_prior():
    prior = (0.5, 0.4, 0.2, 0.3)
    head = CGSTVGHead(num_layers=2, anchor_prior=prior, **SIZES)
    head.init_weights()
    hidden = torch.randn(1, 5, 256)
    expected = torch.tensor(prior).expand(1, 5, 4)
    close(head.anchor(hidden), expected)
    close(head.spatial_decoder.box_head(hidden).sigmoid(), expected)


def test_a_head_of_one_stream_is_refused(golden):
    from costa_mm.structures import TextFeatures, VisualFeatures
    model = model_of(golden)
    visual = VisualFeatures(
        torch.zeros(1, 2, APPEARANCE, 2, 2),
        torch.zeros(1, 2, dtype=torch.bool),
        torch.zeros(1, 2, 2, dtype=torch.bool))
    text = TextFeatures(
        torch.zeros(1, 3, 256), torch.zeros(1, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match='TwoStreamResNet'):
        model.neck(visual, text)
