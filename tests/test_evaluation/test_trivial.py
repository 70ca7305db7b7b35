# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.evaluation import (evaluate_tubes, fit_trivial, metric_lines,
                                 trivial_predictions)
from costa_mm.structures import Tube


def test_mean_span_and_box_by_hand(make_tube):
    train = dict(
        a=make_tube((0, 10), (0, 0, 10, 10), num=20),
        b=make_tube((30, 40), (10, 10, 30, 30), num=40))
    test = dict(c=make_tube((1, 2), num=100, fps=25, qtype='declarative'))
    tubes = trivial_predictions(train, test)
    whole, mean = tubes['whole_video_best_box'], tubes['mean_span_mean_box']
    assert whole['c'].span == (0, 100)
    # (0 + 0.75) / 2 and (0.5 + 1) / 2
    assert mean['c'].span == (38, 75)
    assert mean['c'].boxes[50].tolist() == [5, 5, 20, 20]
    for tube in (whole['c'], mean['c']):
        assert tube.frame_ids.tolist() == list(range(100))
        assert (tube.fps, tube.qtype, tube.num_frames) == (25, 'declarative',
                                                           100)


def test_test_truth_is_not_read(make_tube):
    train = dict(a=make_tube((0, 10)))
    blind = dict(c=Tube(None, num_frames=50))
    for tubes in trivial_predictions(train, blind).values():
        assert tubes['c'].num_frames == 50


def test_sizes_make_boxes_relative(make_tube):
    train = dict(a=make_tube((0, 10), (10, 20, 20, 40)))
    test = dict(c=make_tube((0, 10)))
    tubes = trivial_predictions(train, test, dict(a=(100, 100)),
                                dict(c=(1000, 200)))
    np.testing.assert_allclose(tubes['mean_span_mean_box']['c'].boxes[0],
                               [100, 40, 200, 80])


def test_best_box_is_best_for_whole_videos():
    """Two thirds of the weight lie on one box, so that one is held."""
    rng = np.random.default_rng(0)
    train = {}
    for i in range(30):
        box = [10, 10, 30, 30] if i % 3 else [60, 60, 100, 100]
        boxes = np.tile(box, (10, 1)) + rng.normal(size=(10, 4)) * .3
        train[str(i)] = Tube((0, 10), np.arange(10), boxes, num_frames=20)
    prior = fit_trivial(train)
    np.testing.assert_allclose(prior.best_box, [10, 10, 30, 30], atol=1)
    tubes = trivial_predictions(train, train)
    scores = {
        name: metric_lines(evaluate_tubes(t, train), 'paper')['m_vIoU']
        for name, t in tubes.items()
    }
    assert scores['whole_video_best_box'] == pytest.approx(
        .5 * 2 / 3, abs=.04)

    def held(box):
        """The mean vIoU of another box held through the videos."""
        preds = {
            k: Tube((0, 20), np.arange(20), np.tile(box, (20, 1)))
            for k in train
        }
        return metric_lines(evaluate_tubes(preds, train), 'paper')['m_vIoU']

    for other in (prior.mean_box, [60, 60, 100, 100], [8, 8, 33, 33]):
        assert held(other) < scores['whole_video_best_box']


@pytest.mark.parametrize('train, text', [
    ({}, 'no training tube'),
    (dict(a=Tube((0, 5), [1], [[0, 0, 1, 1]])), "'a'.*num_frames"),
    (dict(a=Tube((0, 5), num_frames=9)), "'a': no box"),
    (dict(a=Tube(None, num_frames=9)), "'a': no span"),
])
def test_what_cannot_be_fitted(train, text):
    with pytest.raises(ValueError, match=text):
        fit_trivial(train)


def test_sizes_for_one_set_only(make_tube):
    tubes = dict(a=make_tube((0, 10)))
    with pytest.raises(ValueError, match='both sets or for neither'):
        trivial_predictions(tubes, tubes, dict(a=(10, 10)))
    with pytest.raises(ValueError, match="'a'.*frame size"):
        trivial_predictions(tubes, tubes, {}, {})
