# Copyright (c) costa_mm authors. All rights reserved.
from unittest import mock

import pytest
import torch
from tiny_model import C, make_memory
from torch.testing import assert_close

from costa_mm.models.heads import EntangledSpatialDecoder
from costa_mm.models.heads.spatial_decoder import EntangledDecoderLayer


def make(num_layers=3, **kwargs):
    torch.manual_seed(0)
    return EntangledSpatialDecoder(
        embed_dims=C,
        num_layers=num_layers,
        num_heads=2,
        feedforward_channels=32,
        dropout=0.,
        **kwargs)


def spy_on(module):
    """Replace ``module.forward`` by one that keeps its arguments."""
    before, seen = module.forward, []

    def forward(*args):
        seen.append(args)
        return before(*args)

    module.forward = forward
    return seen


def test_sum_for_time_and_concatenation_for_space():
    torch.manual_seed(0)
    layer = EntangledDecoderLayer(
        embed_dims=C, num_heads=2, feedforward_channels=32, dropout=0.)
    memory = make_memory()
    event, pos, sine = (torch.randn(2, 5, C) for _ in range(3))
    over_time, over_cells = spy_on(layer.self_attn), spy_on(layer.cross_attn)
    out, _ = layer(event, pos, sine, memory)
    query, key, value, mask = over_time[0]
    assert_close(query,
                 layer.self_query_event(event) + layer.self_query_object(pos))
    assert_close(key, layer.self_key_event(event) + layer.self_key_object(pos))
    assert_close(value, layer.self_value(event))  # the event alone
    assert mask is memory.frame_mask
    (q_event, q_object), (k_memory, k_pos), value, mask = over_cells[0][:4]
    assert q_event.shape == q_object.shape == (10, 1, C)
    assert_close(q_object[:, 0], layer.query_object(sine).flatten(0, 1))
    assert_close(k_memory, layer.key_memory(memory.memory.flatten(0, 1)))
    # the positions of a video serve all its frames
    assert_close(k_pos[7], layer.key_pos(memory.pos[1]))
    assert_close(value, layer.value(memory.memory.flatten(0, 1)))
    assert torch.equal(mask[7], memory.mask[1])
    # residuals and norms: one after each attention and the FFN
    x = layer.norm1(event + layer.self_attn(*over_time[0])[0])
    assert_close(q_event[:, 0], layer.query_event(x).flatten(0, 1))
    update = layer.cross_attn(*over_cells[0])[0].squeeze(1).view(2, 5, C)
    assert_close(out, layer.norm3(layer.ffn(layer.norm2(x + update))))


def test_every_box_refines_its_own_anchor():
    decoder, memory = make(), make_memory()
    outs = decoder(torch.randn(2, 5, C), memory)
    assert outs.boxes.shape == (3, 2, 5, 4)
    assert_close(outs.references[0], decoder.object_query.initial(memory.cls))
    assert_close(outs.references[1:], outs.boxes[:-1])


def test_every_layer_looks_where_the_last_one_left_off():
    decoder, memory = make(), make_memory()
    event, boxes = torch.randn(2, 5, C), []
    outs = decoder(event, memory)
    reference = decoder.object_query.initial(memory.cls)
    for i, layer in enumerate(decoder.layers):
        # the place of this layer's anchor, and what the last layer made of e
        pos, sine = decoder.object_query.embed(reference, event, i)
        event, _ = layer(event, pos, sine, memory)
        boxes.append(decoder.object_query.refine(
            decoder.box_head(event), reference))
        reference = boxes[-1]
    assert_close(outs.boxes, torch.stack(boxes))
    # anchors move, or the comparison would show nothing
    assert (outs.references[1] - outs.references[0]).abs().min() > 1e-4


def test_only_the_first_anchor_is_not_detached():
    decoder, memory = make(), make_memory()
    weight = decoder.object_query.theta_s.layers[0].weight
    # without places in the queries theta_s is reached through anchors only
    nothing = mock.patch.object(decoder.object_query, 'embed',
                                lambda *args: (torch.zeros(2, 5, C), ) * 2)
    with nothing:
        boxes = decoder(torch.randn(2, 5, C), memory).boxes
    grads = [
        torch.autograd.grad(b.sum(), weight, retain_graph=True)[0].abs().sum()
        for b in boxes.unbind()
    ]
    assert grads[0] > 0 and grads[1] == 0 == grads[2]


def test_boxes_of_a_layer_do_not_reach_back_through_the_anchor():
    decoder, memory = make(2), make_memory()
    outs = decoder(torch.randn(2, 5, C), memory)
    bias = decoder.box_head.layers[-1].bias
    grad, = torch.autograd.grad(outs.boxes[1].sum(), bias)
    # with the anchor detached, d box / d bias = box (1 - box)
    expected = (outs.boxes[1] * (1 - outs.boxes[1])).sum((0, 1))
    assert_close(grad, expected)


def test_boxes_begin_as_their_anchors():
    decoder, memory = make(), make_memory()
    decoder.init_weights()
    outs = decoder(torch.randn(2, 5, C), memory)
    inner = outs.references[0].clamp(1e-3, 1 - 1e-3)
    assert_close(outs.boxes[0], inner)
    assert_close(outs.boxes[2], inner)


def test_reference_points_stay():
    decoder = make(object_query=dict(type='costa_mm.ReferencePointQuery'))
    outs = decoder(torch.randn(2, 5, C), make_memory())
    assert outs.references.shape == (3, 2, 5, 2)
    assert torch.equal(outs.references[0], outs.references[2])
    assert outs.boxes.shape == (3, 2, 5, 4)


def test_padding_changes_nothing():
    decoder, memory = make(), make_memory(durations=[5, 3])
    event = torch.randn(2, 5, C)
    before = decoder(event, memory).boxes
    tokens, cls = memory.memory.clone(), memory.cls.clone()
    tokens[1, :, -1], tokens[1, 3:], cls[1, 3:] = 50., -50., 7.
    other = event.clone()
    other[1, 3:] = -9.
    after = decoder(other, memory._replace(memory=tokens, cls=cls)).boxes
    assert_close(after[:, 0], before[:, 0])
    assert_close(after[:, 1, :3], before[:, 1, :3])


@pytest.mark.parametrize('need', [False, True])
def test_attention_on_request_only(need):
    decoder, memory = make(), make_memory()
    outs = decoder(torch.randn(2, 5, C), memory, need)
    if not need:
        assert outs.attention is None
        return
    assert outs.attention.shape == (3, 2, 5, 6)
    assert_close(outs.attention.sum(-1), torch.ones(3, 2, 5))
