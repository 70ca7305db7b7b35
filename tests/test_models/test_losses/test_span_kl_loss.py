# Copyright (c) costa_mm authors. All rights reserved.
import math

import pytest
import torch
from torch.testing import assert_close

from costa_mm.models.losses import SpanKLLoss, gaussian_targets, span_kl_loss


def no_mask(num, length):
    return torch.zeros(num, length, dtype=torch.bool)


def kl_by_hand(pred, true, eps=0.):
    """sum p log((p + eps) / g) of two lists."""
    return sum(p * math.log((p + eps) / g) for p, g in zip(pred, true))


def gaussian_by_hand(length, centre, sigma):
    weights = [
        math.exp(-(i - centre)**2 / (2 * sigma**2)) + 1e-6
        for i in range(length)
    ]
    return [w / sum(weights) for w in weights]


def test_gaussian_targets_by_hand():
    true = gaussian_targets(torch.tensor([[1, 3]]), no_mask(1, 4), 2.)
    for k, centre in enumerate((1, 3)):
        assert_close(true[0, :, k],
                     torch.tensor(gaussian_by_hand(4, centre, 2.)))


def test_gaussian_targets_sum_to_one_over_valid_frames():
    mask = no_mask(2, 6)
    mask[1, 3:] = True
    true = gaussian_targets(torch.tensor([[1, 4], [0, 2]]), mask, 2.)
    assert_close(true.sum(1), torch.ones(2, 2))
    assert (true[1, 3:] == 0).all()
    alone = gaussian_targets(torch.tensor([[0, 2]]), no_mask(1, 3), 2.)
    assert_close(true[1:, :3], alone)


@pytest.mark.parametrize('direction', ['pred_true', 'true_pred'])
def test_both_directions_of_equation_7_by_hand(direction):
    logits = torch.tensor([[[0., 1.], [1., 0.], [2., -1.]]])
    loss = span_kl_loss(
        logits, torch.tensor([[0, 2]]), no_mask(1, 3), direction=direction)
    total = 0.
    for k, centre in enumerate((0, 2)):
        exps = [math.exp(v) for v in logits[0, :, k].tolist()]
        pred = [e / sum(exps) for e in exps]
        true = gaussian_by_hand(3, centre, 2.)
        total += kl_by_hand(
            pred, true, 1e-6) if direction == 'pred_true' else kl_by_hand(
                true, pred)
    assert_close(loss, torch.tensor([total / 3]))


def test_the_directions_differ():
    logits, span = torch.randn(1, 9, 2) * 3, torch.tensor([[2, 5]])
    one, other = (
        span_kl_loss(logits, span, no_mask(1, 9), direction=d)
        for d in ('pred_true', 'true_pred'))
    assert not torch.allclose(one, other, rtol=0.05)


@pytest.mark.parametrize('direction', ['pred_true', 'true_pred'])
def test_a_perfect_prediction_costs_nothing(direction):
    span = torch.tensor([[2, 5]])
    true = gaussian_targets(span, no_mask(1, 9), 2.)
    loss = span_kl_loss(true.log(), span, no_mask(1, 9), direction=direction)
    assert loss.abs().item() < 1e-4


@pytest.mark.parametrize('direction', ['pred_true', 'true_pred'])
def test_padding_changes_nothing(direction):
    torch.manual_seed(0)
    logits, span = torch.randn(2, 9, 2), torch.tensor([[2, 5], [0, 3]])
    mask = no_mask(2, 9)
    mask[1, 4:] = True
    batch = logits.clone().requires_grad_()
    loss = span_kl_loss(batch, span, mask, direction=direction)
    alone = span_kl_loss(
        logits[1:, :4], span[1:], no_mask(1, 4), direction=direction)
    assert_close(loss[1:], alone)
    loss.sum().backward()
    assert (batch.grad[1, 4:] == 0).all() and batch.grad.isfinite().all()


def test_padded_average_divides_by_the_padded_length():
    torch.manual_seed(0)
    logits, span = torch.randn(1, 8, 2), torch.tensor([[0, 3]])
    mask = no_mask(1, 8)
    mask[0, 4:] = True
    own = span_kl_loss(logits, span, mask)
    assert_close(span_kl_loss(logits, span, mask, average='padded'), own / 2)


@pytest.mark.parametrize(
    'name,span,sigma', [('stcat_loss_b1', 'gt_idx_inclusive', 2.),
                        ('stcat_loss_b2_equal', 'gt_idx_inclusive', 2.),
                        ('tubedetr_loss_b1', 'inter_idx_inclusive', 1.)])
def test_published_numbers(golden, name, span, sigma):
    data = golden(name)
    loss = SpanKLLoss(sigma=sigma, average='padded')
    layers = ['', *(f'aux{k}.' for k in range(5))]
    seen = 0
    for layer in layers:
        logits = data.get(f'in.{layer}pred_sted')
        if logits is None:
            continue
        seen += 1
        logits = logits.requires_grad_()
        mask = no_mask(*logits.shape[:2])
        value = loss(logits, data[span], mask,
                     torch.ones(len(logits), dtype=torch.bool))
        suffix = f'_{layer[3]}' if layer else ''
        assert_close(
            value, data[f'loss.loss_sted{suffix}'], atol=2e-5, rtol=1e-4)
        (10 * value).backward()  # the published weight
        assert_close(
            logits.grad, data[f'grad.{layer}pred_sted'], atol=2e-5, rtol=1e-3)
    assert seen >= 2


def test_a_video_without_true_frames_counts_zero():
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 2, requires_grad=True)
    span = torch.tensor([[1, 2], [0, 0]])
    has_span = torch.tensor([True, False])
    loss = SpanKLLoss(loss_weight=10.)(logits, span, no_mask(2, 5), has_span)
    assert_close(loss, 10 * span_kl_loss(logits, span, no_mask(2, 5))[0] / 2)
    loss.backward()
    assert (logits.grad[1] == 0).all()


@pytest.mark.parametrize('kwargs', [dict(direction='x'), dict(average='x')])
def test_unknown_options_raise(kwargs):
    with pytest.raises(ValueError, match="'x'"):
        span_kl_loss(
            torch.zeros(1, 2, 2), torch.zeros(1, 2).long(), no_mask(1, 2),
            **kwargs)
