# Copyright (c) costa_mm authors. All rights reserved.
"""STVGBert equals the public code, and pads without a trace."""
import re

import numpy as np
import pytest
import torch
from torch import nn

from costa_mm.models import (HFTextEncoder, SpatioTemporalGrounder,
                             STVGBertHead, STViLBertNeck)
from costa_mm.models.heads.center_maps import center_targets, decode_centers
from costa_mm.models.heads.stvgbert_head import best_candidates
from costa_mm.models.layers import (CrossModalLayer, PooledEncoderLayer,
                                    broadcast_tokens)
from costa_mm.models.losses import (AnchorScoreLoss, AnchorSpanLoss,
                                    CenterHeatmapLoss, CenterL1Loss,
                                    temporal_iou)
from costa_mm.models.utils import DecodingConfig
from costa_mm.structures import TextFeatures, VisualFeatures
from costa_mm.weights import LAYOUTS, load_initial_weights, recognise
from costa_mm.weights.published_names import rename
from costa_mm.weights.vilbert_names import vilbert_rules
from .conftest import DATA
from .parity import IdentityBackbone, batch, close, gradient, sample

C, C_T, C_V = 24, 16, 12  # cells, words, the backbone's map
RULES = (
    *vilbert_rules(2, 2),
    (r'h\.tv_3\.0\.0\.', 'head.anchor_spans.score_convs.0.'),
    (r'h\.tv_3\.0\.2\.', 'head.anchor_spans.score_convs.1.'),
    (r'h\.tv_3\.0\.4\.', 'head.anchor_spans.score_convs.2.'),
    (r'h\.tv_4\.0\.0\.', 'head.anchor_spans.offset_convs.0.'),
    (r'h\.tv_4\.0\.2\.', 'head.anchor_spans.offset_convs.1.'),
    (r'h\.tv_4\.0\.4\.', 'head.anchor_spans.offset_convs.2.'),
    (r'h\.', 'head.anchor_spans.'),
)


def make(layers=2, **head):
    """The stored tiny model; BERT's layers are half lower, half upper."""
    torch.manual_seed(0)
    text = HFTextEncoder(
        pretrained=False,
        num_layers=layers,
        out_channels=None,
        config=dict(
            model_type='bert',
            vocab_size=50,
            hidden_size=C_T,
            num_hidden_layers=2 * layers,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=12,
            hidden_dropout_prob=0.,
            attention_probs_dropout_prob=0.))
    neck = STViLBertNeck(
        in_channels=C_V,
        embed_dims=C,
        num_layers=layers,
        num_heads=2,
        feedforward_channels=20,
        text_layer=dict(
            embed_dims=C_T, num_heads=2, feedforward_channels=32),
        dropout=0.)
    options = dict(
        embed_dims=C,
        in_channels=C_V,
        text_channels=C_T,
        span_channels=8,
        maps=dict(up_channels=(8, 6, 4), head_channels=4, dropout=0.))
    model = SpatioTemporalGrounder(
        backbone=IdentityBackbone(),
        text_encoder=text,
        neck=neck,
        head=STVGBertHead(**(options | head)))
    model.init_weights()
    return model.eval()


@pytest.fixture
def data(golden):
    return golden('stvgbert_tiny')


def load(model, data):
    weights = {k.removeprefix('w.'): v for k, v in data.items()
               if k.startswith(('w.', 'h.'))}
    model.load_state_dict(rename(weights, RULES).state, strict=False)
    return model


def visual_of(features, durations=None, grids=None):
    """Features (B, T, C', h, w) as the grounder hands them on."""
    num, length, _, height, width = features.shape
    frame_mask = torch.zeros(num, length, dtype=torch.bool)
    cell_mask = torch.zeros(num, height, width, dtype=torch.bool)
    for i in range(num):
        frame_mask[i, (durations or [length] * num)[i]:] = True
        rows, columns = (grids or [(height, width)] * num)[i]
        cell_mask[i, rows:] = True
        cell_mask[i, :, columns:] = True
    return VisualFeatures(features, frame_mask, cell_mask)


def run(model, data):
    words = model.text_encoder.run_model(data['ids'], data['word_mask'])
    text = TextFeatures(words, data['word_mask'])
    return model.neck(visual_of(data['features']), text), text


# ----------------------------------------------------- the public code
def test_stages_equal_the_public_ones(data):
    model = load(make(), data)
    data['features'].requires_grad_()
    memory, _ = run(model, data)
    close(memory.extras['sentence'], data['text'][:, 0])
    close(memory.memory[:, ::9], data['vision'])
    spans = model.head.anchor_spans(memory)
    close(model.head.anchor_spans.read_frames(memory)[:, ::3],
          data['frames'])
    close(spans['anchor_scores'], data['scores'])
    assert (~spans['anchor_mask']).sum(1).tolist() == [206, 206]
    valid = ~spans['anchor_mask'][0]
    assert torch.equal(spans['anchors'][0][valid], data['anchors'])
    close(temporal_iou(spans['anchors'][:, valid], data['span']),
          data['tiou'])
    offsets = (spans['anchor_spans'] - spans['anchors']) / 64
    close(offsets[:, valid], data['offsets'][:, valid])
    check_losses_and_gradients(model, data, spans)


def check_losses_and_gradients(model, data, spans):
    has_span = torch.ones(2, dtype=torch.bool)
    frames = torch.zeros(2, 64, dtype=torch.bool)
    score = AnchorScoreLoss()(spans['anchor_scores'], spans['anchors'],
                              spans['anchor_mask'], data['span'], has_span)
    close(score, data['score_loss'])
    span = AnchorSpanLoss()(spans['anchor_spans'], spans['anchors'],
                            spans['anchor_mask'], data['span'], frames,
                            has_span)
    close(span, data['span_loss'])
    (score + span).backward()
    close(data['features'].grad[:, ::9], data['feature_grad'])
    with np.load(DATA / 'stvgbert_tiny.npz') as file:
        norms = zip(file['param_names'].tolist(), file['grad_l2'].tolist())
    for name, norm in norms:
        published = data[name if name.startswith('h.') else f'w.{name}']
        ours = gradient(model, RULES, name, published.shape)
        if norm < 0:  # never used there, so it has no counterpart
            assert not ours.numel(), name
        else:
            assert float(ours.norm()) == pytest.approx(
                norm, rel=2e-4, abs=2e-6), name


def test_maps_equal_the_public_ones(data):
    maps = {k: data[k][None].requires_grad_() for k in ('heat', 'wh', 'reg')}
    heat = maps['heat'].squeeze(2)
    boxes = decode_centers(heat, maps['wh'], maps['reg'])[0]
    close(torch.cat((boxes[:, :2] - boxes[:, 2:] / 2,
                     boxes[:, :2] + boxes[:, 2:] / 2), 1), data['boxes'])
    weights = (data['map_mask'].float() / data['map_mask'].sum())[None]
    targets = {k: data[k][None] for k in ('gt', 'ind', 'twh', 'treg')}
    losses = (
        CenterHeatmapLoss()(heat, targets['gt'].squeeze(2), weights),
        CenterL1Loss()(maps['wh'], targets['twh'], targets['ind'], weights),
        CenterL1Loss()(maps['reg'], targets['treg'], targets['ind'], weights))
    for ours, name in zip(losses, ('heat', 'size', 'offset')):
        close(ours, data[f'{name}_loss'])
    (losses[0] + 0.1 * losses[1] + losses[2]).backward()
    for name, leaf in maps.items():
        close(leaf.grad[0], data[f'{name}_grad'])


# ------------------------------------------- factorised attention by hand
def by_hand(attn, query, key):
    """Multi-head attention, one head at a time."""
    q, k, v = attn.q_proj(query), attn.k_proj(key), attn.v_proj(key)
    heads = [
        (a @ b.T / a.shape[1]**0.5).softmax(1) @ c
        for a, b, c in zip(*(x.chunk(attn.num_heads, 1) for x in (q, k, v)))
    ]
    return attn.out_proj(torch.cat(heads, 1))


def spread(cells, update):
    """Each cell's two tokens are added to it, (T, S, C)."""
    num_frames, num_cells = cells.shape[:2]
    return cells + torch.stack([
        torch.stack([update[c] + update[num_cells + f]
                     for c in range(num_cells)]) for f in range(num_frames)
    ])


def test_pooled_attention_equals_loops():
    torch.manual_seed(0)
    vision = PooledEncoderLayer(
        embed_dims=8, num_heads=2, feedforward_channels=12, dropout=0.)
    co = CrossModalLayer(
        embed_dims=8,
        text_dims=6,
        num_heads=2,
        feedforward_channels=12,
        text_feedforward_channels=10,
        dropout=0.)
    cells, words = torch.randn(2, 4, 5, 8), torch.randn(2, 3, 6)
    masks = [torch.zeros(2, n, dtype=torch.bool) for n in (5, 4, 3)]
    for mask, count in zip(masks, (3, 2, 2)):
        mask[1, count:] = True
    seen, (crossed, read) = vision(cells, *masks[:2]), co(
        cells, words, *masks)
    for i, (t, s, n) in enumerate(((4, 5, 3), (2, 3, 2))):
        x, w = cells[i, :t, :s], words[i, :n]
        tokens = torch.cat(
            (torch.stack([x[:, k].mean(0) for k in range(s)]),
             torch.stack([x[k].mean(0) for k in range(t)])))
        update = by_hand(vision.self_attn, tokens, tokens)
        own = vision.norm1(spread(x, update))
        close(seen[i, :t, :s], vision.norm2(vision.ffn(own)))
        own = co.vision_norm1(spread(x, by_hand(co.vision_attn, tokens, w)))
        close(crossed[i, :t, :s], co.vision_norm2(co.vision_ffn(own)))
        own = co.text_norm1(w + by_hand(co.text_attn, w, tokens))
        close(read[i, :n], co.text_norm2(co.text_ffn(own)))


def test_tokens_are_broadcast_to_their_cells():
    tokens = torch.tensor([[[1.], [2.], [10.], [20.], [30.]]])
    assert broadcast_tokens(tokens, 2)[0, ..., 0].tolist() == [
        [11., 12.], [21., 22.], [31., 32.]]


# ----------------------------------------------------- padding and batches
@pytest.mark.parametrize('size_from', ['visual', 'fused'])
def test_padding_changes_nothing(data, size_from):
    model = make(size_from=size_from)
    randomise(model)
    frames, grids, words = (7, 2), ((3, 2), (2, 2)), (7, 4)
    features = data['features'][:, :7]
    text = TextFeatures(
        torch.randn(2, 7, C_T),
        torch.arange(7) >= torch.tensor(words)[:, None])
    together = outputs(model, features, text, frames, grids)
    for i, (t, (rows, columns), n) in enumerate(zip(frames, grids, words)):
        alone = outputs(
            model, features[i:i + 1, :t, :, :rows, :columns],
            TextFeatures(*(x[i:i + 1, :n] for x in text[:2])), (t, ),
            ((rows, columns), ))
        for name in ('boxes', 'span_logits'):
            close(together.named(name)[0, i, :t], alone.named(name)[0, 0])
        cut = dict(heatmap=(t, 8 * rows, 8 * columns),
                   size_map=(t, 2, 8 * rows, 8 * columns))
        for name, shape in cut.items():
            close(together.named(name)[i][tuple(map(slice, shape))],
                  alone.named(name)[0])
        valid, own = (~x.extras['anchor_mask'][k]
                      for x, k in ((together, i), (alone, 0)))
        assert valid.sum() == own.sum() > 0
        for name in ('anchors', 'anchor_scores', 'anchor_spans'):
            close(together.named(name)[i][valid], alone.named(name)[0][own])


def randomise(model):
    """Outputs that differ from cell to cell."""
    torch.manual_seed(1)
    for param in model.parameters():
        nn.init.normal_(param, std=0.3)


def outputs(model, features, text, frames, grids):
    return model.head(model.neck(visual_of(features, frames, grids), text))


def stub_samples():
    boxes = torch.tensor([[0.5, 0.4, 0.3, 0.5]])
    first = sample(0, 7, (1, 4), boxes.expand(4, 4))
    second = sample(1, 3, (0, 1), boxes.expand(2, 4))
    for one, words in ((first, 'a man walks away'), (second, 'red ball')):
        one.set_metainfo(dict(sentence=words, img_shape=(96, 64)))
        one.gt_boxes *= torch.tensor([64., 96.] * 2)
    return [first, second]


def test_losses_of_a_batch_are_means_and_reach_every_parameter(data):
    model = make(stride=32)
    randomise(model)
    features = [data['features'][0, :7], data['features'][1, :3]]
    samples = stub_samples()
    losses = model(batch(features), samples, mode='loss')
    assert sorted(losses) == ['loss_heatmap', 'loss_offset', 'loss_score',
                              'loss_size', 'loss_span']
    alone = [model(batch([f]), [s], mode='loss')
             for f, s in zip(features, samples)]
    for name, value in losses.items():
        close(value, (alone[0][name] + alone[1][name]) / 2)
    sum(losses.values()).backward()
    dead = [n for n, p in model.named_parameters()
            if p.grad is None or not p.grad.any()]
    # the bias of keys shifts all scores of a query alike; of BERT's segments
    # there is one, whose row is trained
    assert [n for n in dead if not re.search(r'k(ey|_proj)\.bias$', n)] == []


def test_recomputed_activations_give_the_same_gradients(data):
    model, found = make().train(), []
    for model.neck.with_cp in (False, True):
        model.zero_grad()
        losses = model(
            batch([data['features'][0, :7]]), stub_samples()[:1], mode='loss')
        sum(losses.values()).backward()
        found.append([p.grad.clone() for p in model.parameters()])
    for plain, recomputed in zip(*found):
        close(recomputed, plain)


def test_a_video_without_the_event_costs_nothing(data):
    model = make()
    losses = model(
        batch([data['features'][0, :4]]), [no_event(stub_samples()[0])],
        mode='loss')
    assert not any(v.detach() for v in losses.values())


def no_event(one):
    one.gt_box_mask[:] = False
    one.gt_boxes = one.gt_boxes[:4] * 0
    one.gt_box_mask = one.gt_box_mask[:4]
    del one.gt_span
    return one


# -------------------------------------------------------------- prediction
def test_a_perfect_map_gives_the_true_box_and_span(data):
    """The frame, 90 x 60 pixels, ends inside the last cells."""
    model = make()
    memory, _ = run(model, {**data, 'features': data['features'][:, :6],
                            'ids': data['ids']})
    outs = model.head(memory)
    truth = torch.tensor([30., 41., 22., 35.])  # pixels
    maps = center_targets((truth / 4).expand(2, 6, 4),
                          outs.extras['heatmap'].shape[2:])
    filled = dict(
        outs.extras,
        heatmap=maps['heatmap'],
        size_map=maps['size'][..., None, None].expand(-1, -1, -1, 24, 16),
        offset_map=maps['offset'][..., None, None].expand(-1, -1, -1, 24, 16))
    boxes = decode_centers(
        *(filled[k] for k in ('heatmap', 'size_map', 'offset_map')))
    outs = outs._replace(
        boxes=(boxes / model.head.extent(memory.cell_mask)[:, None])[None])
    meta = dict(frame_ids=np.arange(6) * 2, num_frames=12,
                ori_shape=(180, 120), img_shape=(90, 60))
    tubes = model.head.predict_by_feat(outs, [meta] * 2, DecodingConfig())
    for tube, best in zip(tubes, best_candidates(outs, 5)):
        np.testing.assert_allclose(
            tube.boxes, [[38., 47., 82., 117.]] * 6, atol=1e-3)
        assert [s[2] for s in tube.spans] == [b[2] for b in best]
        assert [s[0] for s in tube.spans] == [2 * b[0] for b in best]


def test_one_frame_and_no_ground_truth(data):
    model = make()
    one = stub_samples()[0]
    for key in ('gt_boxes', 'gt_box_mask', 'gt_span'):
        del one[key]
    one.set_metainfo(dict(frame_ids=np.array([3]), num_frames=5))
    found, = model(batch([data['features'][0, :1]]), [one], mode='predict')
    assert found.pred_tube.span == (3, 4)
    assert found.pred_boxes.shape == (1, 4)


def test_unknown_source_of_sizes():
    with pytest.raises(ValueError, match="neither 'visual' nor 'fused'"):
        STVGBertHead(size_from='text')


# ---------------------------------------------------------- ViLBERT's names
def test_vilberts_weights_are_found_by_their_names(data, tmp_path):
    """Twelve text layers, six of each other kind, heads, poolers."""
    published = {}
    for name, value in data.items():
        name = name.removeprefix('w.')
        if not name.startswith(('bert.', 'cls.')):
            continue
        kind, index = (re.findall(r'encoder\.(\w+)\.(\d+)', name) or
                       [('', '0')])[0]
        if int(index):
            continue
        count = dict(layer=12, v_layer=6, c_layer=6).get(kind, 1)
        for k in range(count):
            published[name.replace('.0.', f'.{k}.', 1)] = value + k
    old = 'bert.v_embeddings.image_location_embeddings'
    published[f'{old}.weight'] = published.pop(f'{old}2.weight')[:, :5]
    published[f'{old}.bias'] = published.pop(f'{old}2.bias')
    assert recognise(published) is LAYOUTS['vilbert']
    torch.save(published, tmp_path / 'vilbert.bin')
    model, told = make(layers=6), []
    load_initial_weights(
        model,
        [dict(weights=str(tmp_path / 'vilbert.bin'), layout='vilbert')],
        told.append)
    for what in ('missing', 'left_over', 'misshapen'):
        assert f'{what}: 0' in told[0]
    # the location's two, poolers' four, q_dense's 24 and one head
    assert 'not used by this model: 31' in told[0]
    assert told[1].endswith(
        'in head.anchor_spans, head.heat_maps, head.size_maps, '
        'head.visual_conv, neck.location_proj')
    key = 'attention.output.dense.weight'
    value = data[f'w.bert.encoder.layer.0.{key}']
    layers = model.text_encoder.model.encoder.layer
    assert len(layers) == 6
    assert torch.equal(layers[5].get_parameter(key), value + 5)
    assert torch.equal(
        model.neck.text_layers[5].self_attn.out_proj.weight, value + 11)
