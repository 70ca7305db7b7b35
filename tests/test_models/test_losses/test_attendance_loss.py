# Copyright (c) costa_mm authors. All rights reserved.
import math

import pytest
import torch
from torch.testing import assert_close

from costa_mm.models.losses import AttendanceLoss, attendance_loss
from costa_mm.models.utils import labels_from_span


def test_by_hand_with_the_weight_outside():
    # logit 0: log 2 for either label
    mask = torch.tensor([[False, False, True]])
    inside = torch.tensor([[True, False, False]])
    loss = attendance_loss(torch.zeros(1, 3), inside, mask)
    assert_close(loss, torch.tensor([1.3 * math.log(2) / 2]))
    loss = attendance_loss(
        torch.zeros(1, 3), inside, mask, outside_weight=1., average='padded')
    assert_close(loss, torch.tensor([2 * math.log(2) / 3]))


def test_padding_changes_nothing():
    torch.manual_seed(0)
    logits = torch.randn(1, 4)
    inside = torch.tensor([[False, True, True, False]])
    alone = attendance_loss(logits, inside, torch.zeros_like(inside))
    longer = torch.cat((logits, torch.full((1, 3), 99.)), 1)
    mask = torch.tensor([[False] * 4 + [True] * 3])
    pad = torch.zeros(1, 3, dtype=torch.bool)
    assert_close(
        attendance_loss(longer, torch.cat((inside, pad), 1), mask), alone)


@pytest.mark.parametrize('name', ['stcat_loss_b1', 'stcat_loss_b2_equal'])
def test_published_numbers(golden, name):
    data = golden(name)
    loss = AttendanceLoss(average='padded')
    for layer in ('', 'aux0.'):
        logits = data[f'in.{layer}pred_actioness'].requires_grad_()
        inside = labels_from_span(data['gt_idx_inclusive'], logits.shape[1])
        value = loss(logits[..., 0], inside, torch.zeros_like(inside))
        suffix = '_0' if layer else ''
        assert_close(
            value, data[f'loss.loss_actioness{suffix}'], atol=2e-5, rtol=1e-4)
        (2 * value).backward()  # the published weight
        assert_close(
            logits.grad,
            data[f'grad.{layer}pred_actioness'],
            atol=2e-5,
            rtol=1e-4)


def test_unknown_average_raises():
    with pytest.raises(ValueError, match="'x'"):
        AttendanceLoss(average='x')(torch.zeros(1, 2),
                                    torch.ones(1, 2, dtype=torch.bool),
                                    torch.zeros(1, 2, dtype=torch.bool))
