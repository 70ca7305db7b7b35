# Copyright (c) costa_mm authors. All rights reserved.
import weakref

import numpy as np
import pytest
from tiny_model import build, grounder_cfg

from costa_mm.apis.grounding import VideoWindows, ground_video
from costa_mm.apis.sources import ArrayReader
from costa_mm.datasets import LoadVideoFrames, PackSTVGInputs, SampleFrames
from costa_mm.datasets.transforms import ResizeClip

NUM_FRAMES, FPS = 300, 10.
WINDOW = dict(num_frames=8, overlap=4, fps=2.)
SENTENCES = [('a', 'the red ball'), ('b', 'a man walks to the left')]


class CountingReader(ArrayReader):
    """Tells how many decoded frames were alive at once."""

    def __init__(self):
        rng = np.random.default_rng(0)
        super().__init__(
            rng.integers(0, 255, (NUM_FRAMES, 32, 48, 3), dtype=np.uint8),
            FPS)
        self.alive = self.most = self.calls = 0

    def _read(self, path, ids):
        frames = super()._read(path, ids)
        self.calls += 1
        self.alive += len(ids)
        self.most = max(self.most, self.alive)
        weakref.finalize(frames, self._gone, len(ids))
        return frames

    def _gone(self, count):
        self.alive -= count


def make_windows(model, reader, num_frames=NUM_FRAMES, fps=FPS,
                 sampling=None, segment=None):
    transforms = [
        SampleFrames(**(sampling or dict(mode='fps', fps=2.))),
        LoadVideoFrames(reader=reader),
        ResizeClip(scale=(32, 32)),
        PackSTVGInputs(),
    ]
    record = dict(sample_id='x', video_path='long', video_id='long',
                  sentence='', qtype=None, num_frames=num_frames, fps=fps,
                  width=48, height=32,
                  segment=segment or (0, num_frames), gt_tube=None)
    return VideoWindows(transforms, record, model.test_cfg)


@pytest.fixture(scope='module')
def model():
    return build(grounder_cfg(test_cfg=dict(window=WINDOW)))


def test_a_long_video_holds_one_window_in_memory(model):
    reader = CountingReader()
    windows = make_windows(model, reader)
    # 60 frames at 2 per second and the last one
    assert len(windows.frame_ids) == 61 and len(windows) == 15
    first, second = ground_video(model, windows, SENTENCES)
    assert reader.calls == 15  # once for both sentences
    assert reader.most == 8
    assert (first.sample_id, first.sentence) == SENTENCES[0]
    for sample in (first, second):
        # in frames, and so in seconds, of the whole video
        assert sample.pred_tube.num_frames == NUM_FRAMES
        assert len(sample.pred_tube.boxes) == NUM_FRAMES
        assert sample.pred_tube.fps == FPS
        assert sample.frame_ids.tolist() == windows.frame_ids.tolist()
        assert 0 <= sample.pred_tube.span[0] < sample.pred_tube.span[1]
        assert sample.pred_tube.span[1] <= NUM_FRAMES
        assert len(sample.pred_attendance) == 61
    assert not np.allclose(first.pred_boxes, second.pred_boxes)
    one_by_one = ground_video(
        model, make_windows(model, CountingReader()), SENTENCES, batch_size=1)
    for a, b in zip((first, second), one_by_one):
        assert a.pred_tube.span == b.pred_tube.span
        np.testing.assert_allclose(a.pred_boxes, b.pred_boxes, rtol=1e-4,
                                   atol=1e-3)


def test_a_window_equals_that_part_of_the_video_alone(model):
    """The same frames as a short video of their own."""
    reader = CountingReader()
    windows = make_windows(model, reader)
    packed = list(windows)[3]
    ids = windows.frame_ids[windows.parts[3]]
    assert packed['data_samples'].frame_ids.tolist() == ids.tolist()
    np.testing.assert_array_equal(
        packed['inputs'].permute(0, 2, 3, 1).numpy(),
        ResizeClip(scale=(32, 32)).transform(
            dict(imgs=reader.frames[ids], img_shape=(32, 48)))['imgs'])


def test_a_short_video_is_loaded_and_predicted_as_ever(model):
    plain = build(grounder_cfg())
    windows = make_windows(model, CountingReader(), num_frames=30)
    assert len(windows) == 1 and windows.frame_ids.tolist() == list(
        range(0, 30, 5))
    item, = windows
    item['data_samples'].set_metainfo(
        dict(sample_id='a', sentence=SENTENCES[0][1]))
    wanted, = plain.test_step(
        dict(inputs=[item['inputs']], data_samples=[item['data_samples']]))
    found, = ground_video(model, windows, SENTENCES[:1])
    assert found.pred_spans == wanted.pred_spans
    np.testing.assert_array_equal(found.pred_tube.boxes,
                                  wanted.pred_tube.boxes)


def test_without_the_option_a_long_video_is_one_window():
    model = build(grounder_cfg())
    reader = CountingReader()
    windows = make_windows(model, reader)
    assert len(windows) == 1
    sample, = ground_video(model, windows, SENTENCES[:1])
    assert reader.most == len(sample.frame_ids) == 60


def test_two_passes_sample_twice_as_many_frames():
    model = build(grounder_cfg(test_cfg=dict(two_pass=True, window=WINDOW)))
    windows = make_windows(model, CountingReader())
    assert len(windows.frame_ids) == 121
    assert {p.stop - p.start for p in windows.parts} == {16}


def test_the_pipelines_own_rate_and_segment():
    window = dict(num_frames=8, overlap=4)
    model = build(grounder_cfg(test_cfg=dict(window=window)))
    windows = make_windows(model, CountingReader(), segment=(100, 200))
    assert windows.frame_ids.tolist() == list(range(100, 200, 5))
    uniform = dict(mode='uniform', num_frames=8)
    assert len(make_windows(model, CountingReader(), sampling=uniform)) == 1


def test_an_unknown_frame_rate_says_what_to_do(model):
    with pytest.raises(ValueError, match='long: 2.0 frames per second'):
        make_windows(model, CountingReader(), fps=None)
