# Copyright (c) costa_mm authors. All rights reserved.
"""Linking: hand-made cases with known best paths, and brute force."""
from itertools import product

import numpy as np
import pytest

from costa_mm.evaluation.functional import box_iou
from costa_mm.proposals import Detections, best_path, link_tubes


def frame(*rows):
    """Rows are (x, score, label): boxes of 10 x 10 pixels."""
    boxes = np.array([[x, 0., x + 10, 10.] for x, *_ in rows], np.float32)
    return Detections(boxes.reshape(-1, 4),
                      np.array([row[1] for row in rows], np.float32),
                      tuple(row[2] if len(row) > 2 else 'a' for row in rows))


def places(tube):
    return list(zip(tube.frames.tolist(), tube.boxes[:, 0].tolist()))


def test_objects_that_pass_each_other_stay_apart():
    """One moves right by 3, the other left; they meet in frame 3."""
    frames = [frame((3 * t, .9), (18 - 3 * t, .8)) for t in range(7)]
    first, second = link_tubes(frames)
    # nothing but overlap says who is who: both run through
    assert {tube.boxes[0, 0] for tube in (first, second)} == {0., 18.}
    assert len(first.frames) == len(second.frames) == 7


def test_a_gap_is_bridged_up_to_a_limit():
    frames = [frame((0, .9)), frame(), frame((1, .9)), frame(), frame(),
              frame((2, .9))]
    tubes = link_tubes(frames, max_gap=1)
    assert [tube.frames.tolist() for tube in tubes] == [[0, 2], [5]]
    tube, = link_tubes(frames, max_gap=2)
    assert tube.frames.tolist() == [0, 2, 5]


def test_a_false_box_is_left_out():
    frames = [frame((0, .9)), frame((0, .5), (60, .95)), frame((0, .9))]
    first, second = link_tubes(frames)
    assert places(first) == [(0, 0.), (1, 0.), (2, 0.)]
    assert places(second) == [(1, 60.)]


def test_one_frame_and_none():
    tube, = link_tubes([frame((5, .7, 'dog'))])
    assert places(tube) == [(0, 5.)] and tube.label == 'dog'
    assert tube.value == pytest.approx(.7)
    assert link_tubes([]) == link_tubes([frame(), frame()]) == []
    assert best_path([frame()]) == ([], 0.)


def test_number_and_order_of_tubes():
    frames = [frame(*((20 * i, .1 * (i + 1)) for i in range(5)))] * 3
    tubes = link_tubes(frames, max_tubes=3)
    assert [tube.boxes[0, 0] for tube in tubes] == [80., 60., 40.]
    assert sorted((t.value for t in tubes), reverse=True) == [
        t.value for t in tubes]


def test_label_is_that_of_most_of_the_score():
    frames = [frame((0, .9, 'dog')), frame((0, .5, 'cat')),
              frame((0, .3, 'cat'))]
    tube, = link_tubes(frames)
    assert tube.label == 'dog'
    tubes = link_tubes(frames, by_label=True)
    assert [(t.label, t.frames.tolist()) for t in tubes] == [
        ('cat', [1, 2]), ('dog', [0])]


def brute_force(frames, weight, max_gap, min_overlap):
    """The best value of all paths."""
    best = 0.
    choices = [[None, *range(len(f.scores))] for f in frames]
    for picks in product(*choices):
        path = [(t, n) for t, n in enumerate(picks) if n is not None]
        value = sum(frames[t].scores[n] for t, n in path)
        for (s, m), (t, n) in zip(path, path[1:]):
            overlap = box_iou(frames[s].boxes[m], frames[t].boxes[n])
            if t - s - 1 > max_gap or overlap < min_overlap:
                value = -1.
                break
            value += weight * float(overlap)
        best = max(best, value)
    return best


@pytest.mark.parametrize('seed', range(12))
def test_equal_to_brute_force(seed):
    rng = np.random.default_rng(seed)
    frames = [
        frame(*((x, s) for x, s in zip(rng.uniform(0, 25, n),
                                       rng.uniform(.05, 1, n))))
        for n in rng.integers(0, 4, 6)
    ]
    weight, gap, low = rng.uniform(0, 2), int(rng.integers(0, 3)), .1
    path, value = best_path(frames, weight, gap, low)
    assert value == pytest.approx(brute_force(frames, weight, gap, low))
    assert all(b[0] - a[0] <= gap + 1 for a, b in zip(path, path[1:]))
