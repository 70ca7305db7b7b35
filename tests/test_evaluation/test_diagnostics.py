# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.evaluation import (PROTOCOLS, diagnose, error_split, jump_rate,
                                 main_error)
from costa_mm.evaluation.diagnostics import mean_diagnostics
from costa_mm.structures import Tube


def test_split_adds_up_on_golden_tubes(golden):
    preds, gts, _ = golden
    for i, gt in gts.items():
        split = error_split(preds[i], gt)
        scores = PROTOCOLS['paper'].score(preds[i], gt)
        assert split.time + split.place + split.object == pytest.approx(
            1 - scores.viou)
        assert split.siou_place + split.siou_object == pytest.approx(
            1 - scores.siou)
        assert split.time == pytest.approx(1 - scores.tiou)
        assert min(split) >= 0


@pytest.mark.parametrize('span, box, expected', [
    ((5, 15), (0, 0, 10, 10), (0, 0, 0)),
    ((5, 10), (0, 0, 10, 10), (.5, 0, 0)),
    ((5, 15), (5, 0, 15, 10), (0, 2 / 3, 0)),
    ((5, 15), (50, 0, 60, 10), (0, 0, 1)),
    ((15, 20), (50, 0, 60, 10), (1, 0, 0)),
    ((0, 10), (50, 0, 60, 10), (10 / 15, 0, 5 / 15)),
])
def test_split_by_hand(span, box, expected, make_tube):
    split = error_split(make_tube(span, box), make_tube((5, 15)))
    assert split[:3] == pytest.approx(expected)


def test_split_over_the_true_span_ignores_the_predicted_one(make_tube):
    split = error_split(make_tube((15, 20), (50, 0, 60, 10)),
                        make_tube((5, 15)))
    assert (split.siou_place, split.siou_object) == (0, 1)


def test_missing_boxes_lie_elsewhere(make_tube):
    pred = Tube((5, 15), [5], [[0, 0, 10, 10]])
    assert error_split(pred, make_tube((5, 15))).object == pytest.approx(.9)


def test_unannotated_frames_do_not_count(make_tube):
    gt = Tube((5, 15), [5, 6], [[0, 0, 10, 10]] * 2)
    pred = make_tube((5, 15), (50, 0, 60, 10))
    assert error_split(pred, gt)[:3] == pytest.approx((0, 0, 1))


def test_main_error(make_tube):
    gt = make_tube((5, 15))
    for span, box, name in [((5, 7), (0, 0, 10, 10), 'time'),
                            ((5, 15), (5, 0, 15, 10), 'place'),
                            ((5, 15), (50, 0, 60, 10), 'object')]:
        assert main_error(diagnose(make_tube(span, box), gt)) == name


def test_jump_rate_by_hand():
    boxes = np.tile([0., 0, 10, 10], (10, 1))
    boxes[5:] += [100, 0, 100, 0]
    tube = Tube((0, 10), np.arange(10), boxes)
    assert jump_rate(tube) == pytest.approx(1 / 9)
    # 0.2 s at 10 fps are two frames: the pairs (3, 5) and (4, 6) of eight
    tube = Tube((0, 10), np.arange(10), boxes, fps=10)
    assert jump_rate(tube) == pytest.approx(2 / 8)
    # the jump lies outside the span
    assert jump_rate(Tube((0, 5), np.arange(10), boxes)) == 0


def test_interpolation_does_not_hide_a_leap():
    """Sampled boxes 10 frames apart, drawn out evenly in between."""
    boxes = np.tile([0., 0, 10, 10], (21, 1))
    boxes[10:] += np.array([1, 0, 1, 0]) * np.linspace(0, 20, 11)[:, None]
    smooth = Tube((0, 21), np.arange(21), boxes)
    assert jump_rate(smooth) == 0
    assert jump_rate(Tube((0, 21), np.arange(21), boxes, fps=30)) > .3


def test_jump_rate_of_one_frame_is_nan_and_left_out(make_tube):
    one, two = make_tube((5, 6)), make_tube((5, 9))
    assert np.isnan(jump_rate(one))
    means = mean_diagnostics([diagnose(one, two), diagnose(two, two)])
    assert means['jump_rate'] == 0
    assert 'jump_rate' not in mean_diagnostics([diagnose(one, two)])
    assert mean_diagnostics([]) == {}


def test_tubes_share_one_frame_rate(make_tube):
    """A prediction without fps is measured at that of the truth."""
    boxes = np.tile([0., 0, 10, 10], (20, 1))
    boxes[10:] += [100, 0, 100, 0]
    pred = Tube((0, 20), np.arange(20), boxes)
    out = diagnose(pred, make_tube((0, 20), fps=10))
    assert out['jump_rate'] == pytest.approx(2 / 18)
    assert out['gt_jump_rate'] == 0
