# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
from mmdet.models.losses.iou_loss import giou_loss as mmdet_giou_loss

from costa_mm.models.losses import GIoULoss, giou_loss


def boxes(num, seed):
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(num, 2, generator=generator)
    return torch.cat((low, low + torch.rand(num, 2, generator=generator)), 1)


def test_it_is_mmdets_to_the_last_bit():
    pred, target = boxes(2000, 0), boxes(2000, 1)
    target[:50] = 0.  # frames without a box
    target[50:60] = pred[50:60]
    theirs = pred.clone().requires_grad_()
    ours = pred.clone().requires_grad_()
    want = mmdet_giou_loss(theirs, target, reduction='none')
    got = giou_loss(ours, target)
    assert torch.equal(got, want)
    want.sum().backward()
    got.sum().backward()
    assert torch.equal(ours.grad, theirs.grad)


def test_by_hand():
    pred = torch.tensor([[0., 0., 2., 2.], [0., 0., 1., 1.]])
    target = torch.tensor([[1., 1., 3., 3.], [2., 0., 3., 1.]])
    # 1/7 - (9 - 7)/9; nothing in common, hull 3 of which 1 is between them
    want = 1 - torch.tensor([1 / 7 - 2 / 9, -1 / 3])
    torch.testing.assert_close(giou_loss(pred, target), want)


def test_reductions():
    pred, target = boxes(5, 0), boxes(5, 1)
    every = GIoULoss(reduction='none', loss_weight=3.)(pred, target)
    assert torch.equal(every, 3 * giou_loss(pred, target))
    assert torch.equal(GIoULoss()(pred, target), every.mean() / 3)
    with pytest.raises(ValueError, match="'total'"):
        GIoULoss(reduction='total')
