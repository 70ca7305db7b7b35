# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.structures import Tube
from costa_mm.visualization import (TubeTrack, tracks_from_sample,
                                    tracks_from_tubes, truth_track)


def test_box_is_that_of_the_frame_or_none():
    tube = Tube((3, 9), [3, 7], [[0, 0, 1, 1], [2, 2, 5, 5]])
    track = TubeTrack(tube)
    assert track.box(7).tolist() == [2, 2, 5, 5]
    for frame in (0, 5, 8, 100):
        assert track.box(frame) is None


def test_span_end_is_exclusive(pred):
    track = TubeTrack(pred)
    inside = [i for i in range(20) if track.is_inside(i)]
    assert inside == list(range(5, 12))


def test_a_tube_without_a_span_is_never_inside():
    assert not TubeTrack(Tube(None)).is_inside(0)


def test_sample_gives_truth_below_prediction(sample):
    truth, model = tracks_from_sample(sample)
    assert (truth.dashed, model.dashed) == (True, False)
    # The sentence is written once.
    assert [truth.sentence, model.sentence] == ['', 'the grey thing grows']
    assert '0.50' in model.label


def test_sample_without_prediction_keeps_its_sentence(sample):
    track, = tracks_from_sample(sample, draw_pred=False)
    assert track.sentence == 'the grey thing grows'
    assert tracks_from_sample(sample, draw_pred=False, draw_gt=False) == []


def test_sentences_get_different_colours(pred, truth):
    tracks = tracks_from_tubes([pred, truth], ['one', 'two'])
    assert tracks[0].color != tracks[1].color
    with pytest.raises(ValueError, match='2 tubes, 1 sentences'):
        tracks_from_tubes([pred, truth], ['one'])


def test_truth_track_is_white(truth):
    assert np.ptp(truth_track(truth).color) == 0
