# Copyright (c) costa_mm authors. All rights reserved.
"""Spans as candidates."""
import pytest
import torch
from torch.testing import assert_close as close

from costa_mm.models.heads.anchor_spans import (make_anchors, round_spans,
                                                span_logits_of)
from costa_mm.models.heads.stvgbert_head import best_candidates
from costa_mm.models.losses import anchor_span_loss
from costa_mm.structures import TubeOutputs


def test_anchors_of_short_videos():
    mask = torch.arange(5) >= torch.tensor([[1], [2], [3], [5]])
    anchors, outside = make_anchors(mask, 2)
    found = [a[~o].tolist() for a, o in zip(anchors, outside)]
    assert found == [[[0, 0]], [[0, 1], [0, 1]], [[0, 2]],
                     [[0, 2], [1, 3], [2, 4]]]


def test_every_rounded_span_is_one_of_the_video():
    mask = torch.arange(4) >= torch.tensor([[1], [4]])
    spans = torch.tensor([[-3., 9.], [2.6, 2.4], [9., 9.], [1.4, 2.6]])
    assert round_spans(spans.expand(2, 4, 2), mask).tolist() == [
        [[0, 0]] * 4, [[0, 3], [2, 3], [2, 3], [1, 3]]]


def test_scores_of_candidates_become_start_and_end_scores():
    spans = torch.tensor([[[0, 2], [1, 2], [0, 3], [3, 3]]])
    logits = span_logits_of(
        spans, torch.tensor([[0.5, 0.25, 0.125, 0.9]]),
        torch.tensor([[False, False, False, True]]),
        torch.zeros(1, 4, dtype=torch.bool))
    close(logits.exp()[0].T, torch.tensor(
        [[0.625, 0.25, 1e-6, 1e-6], [1e-6, 1e-6, 0.75, 0.125]]))


def test_best_candidates_are_distinct():
    outs = TubeOutputs(
        torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 2),
        torch.zeros(1, 4, dtype=torch.bool),
        extras=dict(
            anchor_spans=torch.tensor(
                [[[0., 2.], [1., 3.], [.1, 2.], [1, 2]]]),
            anchor_scores=torch.tensor([[1., 0., 2., 5.]]),
            anchor_mask=torch.tensor([[False, False, False, True]])))
    (one, two), = best_candidates(outs, 5)
    assert one[:2] == (0, 2) and two[:2] == (1, 3) and two[2] == 0.5
    assert one[2] == pytest.approx(float(torch.tensor(2.).sigmoid()))


def test_without_a_positive_anchor_every_video_has_its_best():
    anchors = torch.tensor([[0., 2.], [1., 3.], [0., 6.]]).expand(2, 3, 2)
    off = torch.zeros(2, 3, dtype=torch.bool)
    # the first video has one above 0.5, the second none
    span, frames = torch.tensor([[0, 2], [3, 4]]), torch.zeros(2, 8).bool()
    loss = anchor_span_loss(anchors, anchors, off, span, frames)
    close(loss, torch.tensor([0., (3 + 2) / 2 / 8]))
