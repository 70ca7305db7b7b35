# Copyright (c) costa_mm authors. All rights reserved.
from unittest import mock

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from costa_mm.models.layers import ConcatCrossAttention, MultiheadAttention
from costa_mm.models.layers.attention import attend


def inputs():
    torch.manual_seed(0)
    mask = torch.zeros(3, 6, dtype=torch.bool)
    mask[0, 4:] = True
    return (torch.randn(3, 2, 4, 8), torch.randn(3, 2, 6, 8),
            torch.randn(3, 2, 6, 5), mask)


def test_attend_by_hand():
    # one head, scores log 3 and 0: weights 3/4 and 1/4
    query = torch.ones(1, 1, 1, 1)
    key = torch.tensor([3., 1.]).log().view(1, 1, 2, 1)
    value = torch.tensor([4., 8.]).view(1, 1, 2, 1)
    out, weights = attend(query, key, value, need_weights=True)
    assert_close(out, torch.tensor([[[5.]]]))
    assert_close(weights, torch.tensor([[[0.75, 0.25]]]))


def test_with_and_without_weights_are_equal():
    query, key, value, mask = inputs()
    fast, none = attend(query, key, value, mask)
    slow, weights = attend(query, key, value, mask, need_weights=True)
    assert none is None
    assert fast.shape == (3, 4, 10) and weights.shape == (3, 4, 6)
    assert_close(fast, slow)
    assert_close(weights.sum(-1), torch.ones(3, 4))
    assert (weights[0, :, 4:] == 0).all()


@pytest.mark.parametrize('need_weights', [False, True])
def test_a_row_without_valid_keys_is_zero_with_finite_gradients(need_weights):
    query, key, value, mask = inputs()
    mask[1] = True
    for x in (query, key, value):
        x.requires_grad_()
    out, _ = attend(query, key, value, mask, need_weights=need_weights)
    assert (out[1] == 0).all()
    out.sum().backward()
    for x in (query, key, value):
        assert x.grad.isfinite().all()


@pytest.mark.parametrize('need_weights', [False, True])
def test_masked_keys_change_nothing(need_weights):
    query, key, value, mask = inputs()
    before, _ = attend(query, key, value, mask, need_weights=need_weights)
    key[0, :, 4:], value[0, :, 4:] = 1e4, -1e4
    after, _ = attend(query, key, value, mask, need_weights=need_weights)
    assert_close(after, before)


def test_multihead_attention_equals_torch():
    torch.manual_seed(0)
    ours = MultiheadAttention(embed_dims=8, num_heads=2)
    other = nn.MultiheadAttention(8, 2, batch_first=True)
    projections = (ours.q_proj, ours.k_proj, ours.v_proj)
    other.in_proj_weight.data = torch.cat([p.weight for p in projections])
    other.in_proj_bias.data = torch.cat([p.bias for p in projections])
    other.out_proj.load_state_dict(ours.out_proj.state_dict())
    q, k, v = torch.randn(3, 4, 8), torch.randn(3, 6, 8), torch.randn(3, 6, 8)
    mask = inputs()[-1]
    assert_close(
        ours(q, k, v, mask, need_weights=True),
        other(q, k, v, key_padding_mask=mask))


def test_concat_attention_adds_content_and_position_scores():
    torch.manual_seed(0)
    attention = ConcatCrossAttention(embed_dims=8, num_heads=2)
    query = torch.randn(3, 1, 8), torch.randn(3, 1, 8)
    key = torch.randn(3, 6, 8), torch.randn(3, 6, 8)
    value = torch.randn(3, 6, 8)
    out, weights = attention(query, key, value, need_weights=True)
    expected, maps = [], []
    for head in (slice(0, 4), slice(4, 8)):
        scores = sum(q[..., head] @ k[..., head].transpose(1, 2)
                     for q, k in zip(query, key))
        maps.append((scores / 8**0.5).softmax(-1))  # 2 * 8 / 2 heads
        expected.append(maps[-1] @ value[..., head])
    assert_close(out, attention.out_proj(torch.cat(expected, -1)))
    assert_close(weights, sum(maps) / 2)


def test_no_weights_are_made_unless_asked_for():
    attention = MultiheadAttention(embed_dims=8, num_heads=2)
    x = torch.randn(1, 3, 8)
    with mock.patch.object(torch.Tensor, 'softmax',
                           side_effect=AssertionError('weights made')):
        attention(x, x, x)
        with pytest.raises(AssertionError):
            attention(x, x, x, need_weights=True)


def test_dropout_is_off_in_eval():
    attention = MultiheadAttention(embed_dims=8, num_heads=2, dropout=0.9)
    x = torch.randn(2, 3, 8)
    assert not torch.equal(attention(x, x, x)[0], attention(x, x, x)[0])
    attention.eval()
    assert torch.equal(attention(x, x, x)[0], attention(x, x, x)[0])


def test_heads_must_divide_channels():
    with pytest.raises(ValueError, match='multiple'):
        MultiheadAttention(embed_dims=10, num_heads=4)
