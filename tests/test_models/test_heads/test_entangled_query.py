# Copyright (c) costa_mm authors. All rights reserved.
import math

import pytest
import torch
from torch.testing import assert_close

from costa_mm.models.heads import EventQuery, select_labels
from costa_mm.models.utils import (joint_span_scores, labels_from_span,
                                   span_from_logits)


def test_equation_3():
    span = torch.tensor([[1, 3], [2, 2], [0, 4]])
    assert labels_from_span(span, 5).int().tolist() == [
        [0, 1, 1, 1, 0],
        [0, 0, 1, 0, 0],
        [1, 1, 1, 1, 1],
    ]


def test_equation_4_adds_the_position_inside_only():
    query = EventQuery(embed_dims=4)
    query.embedding.weight.data = torch.tensor([[1., 2, 3, 4],
                                                [10., 20, 30, 40]])
    tem = query(torch.tensor([[False, True, True, False]]))

    def pe(i):
        return torch.tensor([
            math.sin(i), math.cos(i), math.sin(i / 100), math.cos(i / 100)
        ])

    outside, inside = query.embedding.weight
    assert torch.equal(tem[0, 0], outside) and torch.equal(tem[0, 3], outside)
    assert_close(tem[0, 1], inside + pe(1))
    assert_close(tem[0, 2], inside + pe(2))  # i counts in the video


def test_joint_scores_by_hand():
    # p_s = (1/4, 3/4, -), p_e = (1/2, 1/2, -), third frame is padding
    logits = torch.tensor([[[1., 1.], [3., 1.], [99., 99.]]]).log()
    mask = torch.tensor([[False, False, True]])
    scores = joint_span_scores(logits, mask)
    expected = torch.full((1, 3, 3), float('-inf'))
    expected[0, 0, 1] = math.log(1 / 8)
    assert_close(scores, expected)


@pytest.mark.parametrize('start,end,expected', [
    ([5., 0, 0, 0], [0., 0, 5, 0], [0, 2]),
    ([0., 0, 5, 0], [0., 0, 4, 0], [2, 3]),
    ([0., 0, 5, 0], [0., 0, 5, 0], [0, 2]),  # a tie: the first one
    ([0., 0, 0, 5], [5., 0, 0, 0], [0, 1]),
    ([0., 0, 0, 0], [0., 0, 0, 0], [0, 1]),
])
def test_span_has_start_before_end(start, end, expected):
    logits = torch.tensor([start, end]).T[None]
    mask = torch.zeros(1, 4, dtype=torch.bool)
    assert span_from_logits(logits, mask).tolist() == [expected]


def test_one_frame_is_its_own_span():
    mask = torch.tensor([[False, True, True]])
    assert span_from_logits(torch.randn(1, 3, 2), mask).tolist() == [[0, 0]]
    assert span_from_logits(
        torch.randn(1, 1, 2), mask[:, :1]).tolist() == [[0, 0]]


def test_padding_cannot_be_part_of_a_span():
    logits = torch.zeros(2, 6, 2)
    logits[:, 4:] = 1e4
    mask = torch.zeros(2, 6, dtype=torch.bool)
    mask[:, 4:] = True
    assert (span_from_logits(logits, mask) < 4).all()


TRUE = torch.tensor([[True, True, False], [True, True, False]])
PRED = ~TRUE


@pytest.mark.parametrize('beta', [0., 1.])
@pytest.mark.parametrize('per_frame', [False, True])
@pytest.mark.parametrize('draws', [None, torch.tensor([0., 0.999])])
def test_beta_0_predicts_and_beta_1_knows(beta, per_frame, draws):
    for _ in range(20):
        labels = select_labels(
            TRUE, PRED, beta=beta, draws=draws, per_frame=per_frame)
        assert torch.equal(labels, TRUE if beta else PRED)


def test_draws_decide_for_whole_videos():
    labels = select_labels(
        TRUE, PRED, beta=0.5, draws=torch.tensor([0.49, 0.5]))
    assert torch.equal(labels, torch.stack((TRUE[0], PRED[1])))


def test_share_of_true_labels_is_beta():
    torch.manual_seed(0)
    true = torch.ones(4000, 3, dtype=torch.bool)
    labels = select_labels(true, ~true, beta=0.9)
    assert (labels.all(1) | ~labels.any(1)).all()  # all frames together
    assert labels[:, 0].float().mean().item() == pytest.approx(0.9, abs=0.02)
    labels = select_labels(true, ~true, beta=0.9, per_frame=True)
    assert labels.float().mean().item() == pytest.approx(0.9, abs=0.02)
    assert not (labels.all(1) | ~labels.any(1)).all()
