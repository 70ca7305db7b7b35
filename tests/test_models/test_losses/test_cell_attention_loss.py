# Copyright (c) costa_mm authors. All rights reserved.
import math

import pytest
import torch

from costa_mm.models.losses import CellAttentionLoss, cell_overlap


def no_padding(height=4, width=4):
    return torch.zeros(1, height, width, dtype=torch.bool)


def test_overlap_of_one_cell():
    box = torch.tensor([[[0.375, 0.125, 0.25, 0.25]]])  # row 0, column 1
    expected = torch.zeros(16)
    expected[1] = 1
    torch.testing.assert_close(cell_overlap(box, no_padding())[0, 0], expected)


def test_overlap_is_relative_to_the_best_cell():
    # three quarters in column 0, one quarter in column 1, all of row 0
    box = torch.tensor([[[0.25, 0.5, 0.5, 1.]]])
    box[..., 0], box[..., 2] = 1 / 3, 2 / 3
    overlap = cell_overlap(box, no_padding(1, 2))[0, 0]
    torch.testing.assert_close(overlap, torch.tensor([1., 1 / 3]))


def test_boxes_are_relative_to_valid_cells():
    mask = no_padding(4, 4)
    mask[:, :, 2:] = True  # a narrow video: its right half is column 1
    box = torch.tensor([[[0.75, 0.125, 0.4, 0.2]]])
    overlap = cell_overlap(box, mask)[0, 0].view(4, 4)
    assert overlap[0, 1] == 1 and overlap.sum() == 1


def test_box_without_area_has_no_cell():
    assert cell_overlap(torch.zeros(1, 1, 4), no_padding()).sum() == 0


def test_loss_by_hand():
    attention = torch.zeros(1, 2, 6)  # four cells, two words
    attention[0, 0, 0], attention[0, 0, 5] = 0.25, 0.75
    boxes = torch.tensor([[[0.25, 0.25, 0.5, 0.5], [0., 0., 0., 0.]]])
    weights = torch.tensor([[1., 0.]])  # the second frame has no box
    loss = CellAttentionLoss(loss_weight=2.)(attention, boxes,
                                             no_padding(2, 2), weights)
    assert loss.item() == pytest.approx(2 * math.log(4), rel=1e-5)


def test_no_box_at_all_gives_zero_with_gradient():
    attention = torch.rand(1, 2, 6, requires_grad=True)
    loss = CellAttentionLoss()(attention, torch.zeros(1, 2, 4),
                               no_padding(2, 2), torch.zeros(1, 2))
    loss.backward()
    assert loss.item() == 0 and attention.grad.abs().sum() == 0
