# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.structures import Tube
from costa_mm.visualization import TubePainter, TubeTrack

ORANGE = (255, 149, 0)


def make(tracks, **kwargs):
    settings = dict(frame_shape=(60, 91), num_frames=20, tracks=tracks, fps=10)
    return TubePainter(**{**settings, **kwargs})


def count(picture, color):
    return int((picture == np.array(color)).all(-1).sum())


def test_small_frames_are_enlarged_to_even_sizes(pred):
    painter = make([TubeTrack(pred)], min_side=360)
    assert min(painter.size) == 360
    assert painter.shape[0] % 2 == 0 and painter.shape[1] % 2 == 0
    assert abs(painter.size[1] / painter.size[0] - 91 / 60) < 0.01


def test_large_frames_are_reduced(pred):
    painter = make([TubeTrack(pred)], frame_shape=(2160, 3840), max_side=1280)
    assert painter.size == (720, 1280)


def test_box_lies_where_it_should(frames, pred):
    painter = make([TubeTrack(pred)])
    picture = painter.draw_boxes(frames[6], 6)
    rows, columns = np.nonzero((picture == ORANGE).all(-1))
    box = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    slack = painter.thickness + 1
    assert np.abs(box - np.array([10, 20, 50, 40]) * painter.scale).max() \
        <= slack


def test_a_box_is_strong_inside_the_span_and_faint_outside(frames, pred):
    painter = make([TubeTrack(pred)])
    plain = make([])
    inside = painter.draw_boxes(frames[6], 6)
    outside = painter.draw_boxes(frames[15], 15)
    assert count(inside, ORANGE) > 500
    assert count(outside, ORANGE) == 0
    changed = (outside != plain.draw_boxes(frames[15], 15)).any(-1).sum()
    assert 0 < changed < count(inside, ORANGE)


def test_nothing_is_drawn_where_the_truth_has_no_box(frames, truth):
    with_truth = make([TubeTrack(truth)]).draw_boxes(frames[15], 15)
    assert (with_truth == make([]).draw_boxes(frames[15], 15)).all()


def test_dashed_line_covers_less_than_a_solid_one(frames, pred):
    solid, dashed = (
        count(make([TubeTrack(pred, dashed=d)]).draw_boxes(frames[6], 6),
              ORANGE) for d in (False, True))
    assert 0.3 * solid < dashed < 0.8 * solid


def test_time_line_shows_the_span_and_now(frames, pred):
    painter = make([TubeTrack(pred, 'a')])
    picture = painter.draw(frames[15], 15)
    strip = picture[painter.top + painter.size[0]:]
    left, right = painter.rail
    columns = np.nonzero((strip == ORANGE).all(-1).sum(0) > 2)[0]
    columns = columns[columns >= left]
    assert abs((columns.min() - left) / (right - left) - 5 / 20) < 0.02
    assert abs((columns.max() - left) / (right - left) - 12 / 20) < 0.02
    white = np.nonzero((strip == 255).all(-1).sum(0) > 10)[0]
    assert abs((white.mean() - left) / (right - left) - 15.5 / 20) < 0.02


def test_a_sentence_gets_room_above_the_frame(pred):
    long = make([TubeTrack(pred, sentence='a word ' * 30)])
    short = make([TubeTrack(pred, sentence='a word')])
    none = make([TubeTrack(pred)])
    assert long.top > short.top > none.top == 0


def test_frame_and_painter_are_not_changed(frames, pred):
    painter = make([TubeTrack(pred, 'a', 'b')])
    before = frames.copy()
    first = painter.draw(frames[6], 6)
    painter.draw(frames[15], 15)
    assert (frames == before).all()
    assert (painter.draw(frames[6], 6) == first).all()


def test_boxes_beyond_the_frame_and_without_a_span_are_drawn(frames):
    wide = Tube((0, 20), np.arange(20), [[-50, -50, 500, 500]] * 20)
    assert count(make([TubeTrack(wide)]).draw_boxes(frames[1], 1), ORANGE)
    no_span = Tube(None, np.arange(20), [[1, 1, 5, 5]] * 20)
    make([TubeTrack(no_span, 'x')]).draw(frames[1], 1)


def test_wrong_frames_are_refused(frames, pred):
    painter = make([TubeTrack(pred)])
    with pytest.raises(ValueError, match='the video is uint8'):
        painter.draw(frames[0, :-1], 0)
    with pytest.raises(ValueError, match='the video is uint8'):
        painter.draw(frames[0].astype(np.float32), 0)
    with pytest.raises(ValueError, match='nothing to draw'):
        make([], num_frames=0)


def test_tags_of_coinciding_boxes_stand_side_by_side(frames, pred):
    blue = (64, 176, 255)
    picture = make([TubeTrack(pred, 'one'),
                    TubeTrack(pred, 'two', color=blue)]).draw_boxes(
                        frames[6], 6)
    # The box of the first lies under the second; its tag does not.
    assert count(picture, ORANGE) > 200
    columns = [np.nonzero((picture == c).all(-1).sum(0) > 8)[0]
               for c in (ORANGE, blue)]
    assert columns[0].min() < columns[1][columns[1] > columns[0].max()].min()


def test_pictures_of_one_canvas_are_those_of_single_frames(frames, pred):
    tracks = [TubeTrack(pred, 'tag', 'sentence'),
              TubeTrack(pred, 'other', color=(64, 176, 255), dashed=True)]
    for narrow in (False, True):  # with a margin beside the frame
        own = frames[:, :, :60] if narrow else frames
        painter = make(tracks, frame_shape=own.shape[1:3],
                       scale=2 if narrow else 4)
        assert (painter.left > 0) == narrow
        shown = painter.pictures(own, range(20))
        for i, picture in enumerate(shown):
            assert (picture == painter.draw(own[i], i)).all()
