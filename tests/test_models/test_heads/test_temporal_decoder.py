# Copyright (c) costa_mm authors. All rights reserved.
import torch
from tiny_model import C, make_memory
from torch.testing import assert_close

from costa_mm.models.heads import TemporalDecoder
from costa_mm.models.layers import time_sine_embedding


def make():
    torch.manual_seed(0)
    return TemporalDecoder(
        embed_dims=C,
        num_layers=2,
        num_heads=2,
        feedforward_channels=32,
        dropout=0.)


def test_equation_2():
    decoder, frames = make(), torch.randn(2, 5, C)
    first, second = decoder.theta_t.layers
    inner = second(first(frames).relu()) + time_sine_embedding(5, C)
    expected = inner @ decoder.query_proj.weight.T + decoder.query_proj.bias
    assert_close(decoder.make_query(frames), expected)


def attend(attention, query, key, value):
    """Multi-head attention written once more, for one sequence each."""
    heads = attention.num_heads

    def split(proj, x):
        return proj(x).unflatten(-1, (heads, -1)).transpose(0, 1)

    q, k, v = (split(proj, x) for proj, x in (
        (attention.q_proj, query), (attention.k_proj, key),
        (attention.v_proj, value)))
    weights = (q @ k.transpose(1, 2) / (C / heads)**0.5).softmax(-1)
    return attention.out_proj((weights @ v).transpose(0, 1).flatten(1))


def test_layers_one_by_one():
    decoder, memory = make(), make_memory()
    hidden, logits = decoder(memory)
    assert hidden.shape == (2, 2, 5, C) and logits.shape == (2, 2, 5, 2)
    # of the first video, which has no padding
    time, tokens = time_sine_embedding(5, C), memory.memory[0]
    x = decoder.make_query(memory.cls)[0]
    for k, layer in enumerate(decoder.layers):
        # over the frames, with their time in query and key
        x = layer.norm1(x + attend(layer.self_attn, x + time, x + time, x))
        # over the tokens of the own frame, with their place in the key
        x = layer.norm2(x + torch.cat([
            attend(layer.cross_attn, x[t:t + 1], tokens[t] + memory.pos[0],
                   tokens[t]) for t in range(5)
        ]))
        x = layer.norm3(layer.ffn(x))
        assert_close(hidden[k, 0], x)
        first, second = decoder.span_head.layers
        assert_close(logits[k, 0], second(first(x).relu()))


def test_queries_see_other_frames():
    decoder, memory = make(), make_memory()
    _, before = decoder(memory)
    cls = memory.cls.clone()
    cls[0, 0] += 1
    _, after = decoder(memory._replace(cls=cls))
    assert ((after - before)[:, 0].abs().sum(-1) > 1e-6).all()
    assert_close(after[:, 1], before[:, 1])


def test_padding_changes_nothing():
    decoder, memory = make(), make_memory(durations=[5, 3])
    _, before = decoder(memory)
    tokens, cls = memory.memory.clone(), memory.cls.clone()
    tokens[1, :, -1], tokens[1, 3:], cls[1, 3:] = 50., -50., 7.
    _, after = decoder(memory._replace(memory=tokens, cls=cls))
    assert_close(after[:, 0], before[:, 0])
    assert_close(after[:, 1, :3], before[:, 1, :3])
