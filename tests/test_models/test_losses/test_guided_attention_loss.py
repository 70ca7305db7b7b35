# Copyright (c) costa_mm authors. All rights reserved.
"""Guided attention: hand-computed, padded, without an event."""
import math

import pytest
import torch

from costa_mm.models.losses import GuidedAttentionLoss, guided_attention_loss


def test_frames_outside_the_event_pay():
    weights = torch.tensor([[[0.5, 0.5], [0.25, 0.75]]])
    in_event = torch.tensor([[False, True]])
    mask = torch.zeros(1, 2, dtype=torch.bool)
    loss = guided_attention_loss(weights, in_event, mask)
    assert loss.item() == pytest.approx(-2 * math.log(0.5), abs=1e-4)
    # the mean over frames, if both are outside
    both = guided_attention_loss(weights, torch.zeros_like(in_event), mask)
    second = -math.log(0.75) - math.log(0.25)
    assert both.item() == pytest.approx(
        (-2 * math.log(0.5) + second) / 2, abs=1e-4)


def test_an_event_in_every_frame_costs_nothing():
    weights = torch.full((1, 2, 2), 0.5, requires_grad=True)
    mask = torch.zeros(1, 2, dtype=torch.bool)
    loss = guided_attention_loss(weights, ~mask, mask)
    loss.sum().backward()
    assert loss.item() == 0 and (weights.grad == 0).all()


def test_padding_changes_nothing():
    torch.manual_seed(0)
    weights = torch.rand(1, 3, 3).softmax(-1)
    in_event = torch.tensor([[True, False, False]])
    mask = torch.zeros(1, 3, dtype=torch.bool)
    alone = guided_attention_loss(weights, in_event, mask)
    padded = torch.rand(1, 5, 5)
    padded[:, :3, :3] = weights
    mask = torch.tensor([[False] * 3 + [True] * 2])
    in_event = torch.tensor([[True] + [False] * 4])
    torch.testing.assert_close(
        guided_attention_loss(padded, in_event, mask), alone)


def test_a_weight_of_one_stays_finite():
    weights = torch.tensor([[[1.0000001, 0.], [0., 1.]]])
    mask = torch.zeros(1, 2, dtype=torch.bool)
    assert guided_attention_loss(weights, mask, mask).isfinite().all()


def test_videos_without_an_event_do_not_count():
    weights = torch.full((2, 2, 2), 0.5)
    mask = torch.zeros(2, 2, dtype=torch.bool)
    module = GuidedAttentionLoss(loss_weight=3.)
    loss = module(weights, mask, mask, torch.tensor([True, False]))
    assert loss.item() == pytest.approx(-3 * 2 * math.log(0.5) / 2, abs=1e-4)
