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


def test_every_layer_is_scored():
    hidden, logits = make()(make_memory())
    assert hidden.shape == (2, 2, 5, C) and logits.shape == (2, 2, 5, 2)


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
