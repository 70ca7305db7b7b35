# Copyright (c) costa_mm authors. All rights reserved.
import torch
from tiny_model import C, make_memory
from torch.testing import assert_close

from costa_mm.models.layers import (CrossFrameLayer, TransformerEncoderLayer,
                                    frame_key_mask)

LAYER = dict(embed_dims=C, num_heads=2, feedforward_channels=32, dropout=0.)


def decode(layer, memory, x, need_weights=False):
    return layer(
        x,
        self_pos=torch.zeros(x.shape[1], C),
        cross_pos=None,
        memory=memory.memory,
        memory_key=memory.memory + memory.pos[:, None],
        memory_mask=memory.mask,
        frame_mask=memory.frame_mask,
        need_weights=need_weights)


def test_frame_key_mask_repeats_per_video():
    mask = torch.tensor([[False, True], [True, False]])
    assert frame_key_mask(mask, 3).tolist() == [[False, True]] * 3 + [[
        True, False
    ]] * 3


def test_encoder_layer_is_post_norm():
    torch.manual_seed(0)
    layer = TransformerEncoderLayer(**LAYER)
    x, pos = torch.randn(2, 4, C), torch.randn(4, C)
    mask = torch.zeros(2, 4, dtype=torch.bool)
    y = layer.norm1(x + layer.self_attn(x + pos, x + pos, x, mask)[0])
    ffn = layer.ffn.layers
    y = layer.norm2(y + ffn[1](ffn[0](y)))
    assert_close(layer(x, pos, mask), y)


def test_cross_frame_layer_reads_its_own_frame_only():
    torch.manual_seed(0)
    layer = CrossFrameLayer(**LAYER)
    memory = make_memory()
    x = torch.randn(2, 5, C)
    before = layer.cross_attn.forward
    seen = []

    def spy(query, key, value, *args):
        seen.append(before(query, key, value, *args)[0])
        return before(query, key, value, *args)

    layer.cross_attn.forward = spy
    decode(layer, memory, x)
    changed = memory.memory.clone()
    changed[0, 2] += 1
    decode(layer, memory._replace(memory=changed), x)
    moved = (seen[0] - seen[1]).abs().sum((1, 2)).view(2, 5) > 1e-6
    expected = torch.zeros(2, 5, dtype=torch.bool)
    expected[0, 2] = True
    assert torch.equal(moved, expected)


def test_padding_changes_nothing():
    torch.manual_seed(0)
    layer = CrossFrameLayer(**LAYER)
    memory = make_memory(durations=[5, 3])
    x = torch.randn(2, 5, C)
    before, _, _ = decode(layer, memory, x)
    other = memory.memory.clone()
    other[1, :, -1] = 50.  # a padded token
    other[1, 3:] = -50.  # padded frames
    y = x.clone()
    y[1, 3:] = 9.
    after, _, _ = decode(layer, memory._replace(memory=other), y)
    assert_close(after[0], before[0])
    assert_close(after[1, :3], before[1, :3])


def test_weights_on_request():
    layer = CrossFrameLayer(**LAYER)
    memory = make_memory(durations=[5, 3])
    x = torch.randn(2, 5, C)
    out, time, cells = decode(layer, memory, x)
    assert time is None and cells is None
    again, time, cells = decode(layer, memory, x, need_weights=True)
    assert_close(again, out)
    assert time.shape == (2, 5, 5) and cells.shape == (2, 5, 6)
    assert_close(cells.sum(-1), torch.ones(2, 5))
    assert (time[1, :, 3:] == 0).all() and (cells[1, :, -1] == 0).all()
