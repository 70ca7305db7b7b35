# Copyright (c) costa_mm authors. All rights reserved.
"""A video of 20 frames with one truth and one prediction."""
import numpy as np
import pytest

from costa_mm.structures import Tube, TubeDataSample

NUM_FRAMES, HEIGHT, WIDTH = 20, 60, 91


@pytest.fixture
def frames():
    """Grey frames, (20, 60, 91, 3), brightness = 5 * frame number."""
    out = np.zeros((NUM_FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    out += (5 * np.arange(NUM_FRAMES, dtype=np.uint8))[:, None, None, None]
    return out


@pytest.fixture
def pred():
    """Span [5, 12), a box everywhere."""
    return Tube((5, 12), np.arange(NUM_FRAMES),
                np.tile([10., 20., 50., 40.], (NUM_FRAMES, 1)),
                num_frames=NUM_FRAMES, fps=10.)


@pytest.fixture
def truth():
    """Span [4, 10), boxes inside only."""
    return Tube((4, 10), np.arange(4, 10), np.tile([30., 5., 80., 55.],
                                                   (6, 1)),
                num_frames=NUM_FRAMES, fps=10.)


@pytest.fixture
def sample(pred, truth):
    """A predicted sample on every second frame."""
    ids = np.arange(0, NUM_FRAMES, 2)
    out = TubeDataSample(
        metainfo=dict(
            sample_id='a', video_path='a.mp4', num_frames=NUM_FRAMES,
            fps=10., ori_shape=(HEIGHT, WIDTH), frame_ids=ids,
            sentence='the grey thing grows'))
    out.gt_tube, out.pred_tube, out.pred_score = truth, pred, 0.5
    out.pred_start = np.eye(len(ids))[2]
    out.pred_end = np.eye(len(ids))[5]
    out.pred_attendance = np.full(len(ids), 0.5)
    out.pred_spans = [(5, 12, 0.5), (5, 14, 0.2)]
    return out
