# Copyright (c) costa_mm authors. All rights reserved.
"""Whatever the shape of a video, its pictures are bounded in pixels."""
import warnings

import av
import numpy as np
import pytest

from costa_mm.structures import Tube
from costa_mm.visualization import (TubePainter, TubeTrack, attention_sheet,
                                    contact_sheet, plot_timeline, write_video)
from costa_mm.visualization.text import find_font

SHAPES = [(4000, 2), (4096, 3), (2000, 16), (1080, 60), (1000, 250),
          (250, 1000), (60, 1080), (16, 2000), (3, 4096), (2, 4000), (1, 1)]
NUM = 5


def track_of(height, width, sentence='a thin thing'):
    boxes = np.tile([0., 0, width, height], (NUM, 1))
    return TubeTrack(Tube((1, 4), np.arange(NUM), boxes), 'model 0.93',
                     sentence)


@pytest.mark.parametrize('shape', SHAPES)
def test_pictures_of_any_shape_are_bounded_and_legible(shape, tmp_path):
    frames = np.full((NUM, *shape, 3), 120, np.uint8)
    track = track_of(*shape)
    sheet = contact_sheet(frames, range(NUM), [track], num_frames=NUM, fps=5)
    assert sheet.nbytes < 12e6
    assert sheet.shape[1] > 1000  # the sentence has room
    seen = attention_sheet(frames, range(NUM), np.ones((NUM, 2, 3)), [track],
                           num_frames=NUM)
    assert seen.nbytes < 12e6
    painter = TubePainter(
        frame_shape=shape, num_frames=NUM, tracks=[track], fps=5)
    assert painter.shape[1] >= 320 and max(painter.shape) < 1600
    path = tmp_path / 'a.mp4'
    assert write_video(path, painter.pictures(frames, range(NUM)), 5) == NUM
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == painter.shape
        assert stream.sample_aspect_ratio in (None, 0, 1)


@pytest.mark.parametrize('shape', [(4000, 2), (2, 4000)])
def test_raw_frames_of_any_shape_become_a_video(shape, tmp_path):
    frames = np.full((3, *shape, 3), 120, np.uint8)
    assert write_video(tmp_path / 'a.mp4', frames, 5) == 3


def test_many_long_sentences_are_bounded():
    tracks = [track_of(90, 160, 'very long words ' * 40)] * 300
    painter = TubePainter(frame_shape=(90, 160), num_frames=NUM, tracks=tracks)
    assert painter.shape[0] < 2200
    picture = painter.draw(np.zeros((90, 160, 3), np.uint8), 2)
    assert picture.shape[:2] == painter.shape


def test_long_videos_have_timelines_of_the_usual_size():
    size = plot_timeline([0, 10**7], [.5, .5], [.5, .5], num_frames=10**7 + 1,
                         fps=25., sentence='a b ' * 500).shape
    assert size[0] < 700 and size[1] == 990


def test_one_canvas_gives_the_pictures_that_draw_gives():
    frames = np.random.default_rng(0).integers(0, 255, (NUM, 90, 160, 3),
                                               np.uint8)
    painter = TubePainter(
        frame_shape=(90, 160), num_frames=NUM, tracks=[track_of(90, 160)])
    for i, picture in enumerate(painter.pictures(frames, range(NUM))):
        assert (picture == painter.draw(frames[i], i)).all()


@pytest.mark.parametrize('text', ['\U000f0000 moves', 'a \U0010fffd'])
def test_characters_without_a_font_are_told_once(text):
    with pytest.warns(UserWarning, match=r'no installed font.*U\+'):
        find_font(text)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        find_font(text + ' again')
