# Copyright (c) costa_mm authors. All rights reserved.
"""A model that finds colours, so that right answers are known exactly.

The video is black; a red square moves right in frames 10 to 19, a green one
stands still in all 30 frames.  The model returns, for the colour that the
sentence names, its box in every sampled frame and the frames that show it.
"""
import numpy as np
import pytest
import torch
from mmengine.model import BaseModel

from costa_mm.registry import MODELS
from costa_mm.structures import Tube
from costa_mm.visualization import write_video

COLORS = dict(red=0, green=1)

CONFIG = """
default_scope = 'costa_mm'
model = dict(type='ColourFinder')
test_dataloader = dict(
    dataset=dict(
        type='STVGDataset',
        pipeline=[
            dict(type='SampleFrames', {sampling}),
            dict(type='LoadVideoFrames'),
            dict(type='LoadTubeAnnotations'),
            dict(type='PackSTVGInputs')
        ]))
"""


@MODELS.register_module(force=True)
class ColourFinder(BaseModel):
    """Finds pixels of a colour; counts the videos it was given."""

    def __init__(self):
        super().__init__()
        self.threshold = torch.nn.Parameter(torch.tensor(100.))
        self.batches = []

    def forward(self, *args, **kwargs):
        """Never called: see :meth:`test_step`."""
        raise NotImplementedError

    def test_step(self, data):
        """Predict."""
        self.batches.append(len(data['inputs']))
        return [
            self._predict(frames, sample)
            for frames, sample in zip(data['inputs'], data['data_samples'])
        ]

    def _predict(self, frames, sample):
        channel = next((c for name, c in COLORS.items()
                        if name in sample.sentence), 2)
        shown = (frames[:, channel] > self.threshold).numpy()  # (T, H, W)
        ids = np.asarray(sample.frame_ids)
        visible = shown.any((1, 2))
        boxes = np.zeros((len(ids), 4))
        for i in np.flatnonzero(visible):
            y, x = np.nonzero(shown[i])
            boxes[i] = x.min(), y.min(), x.max() + 1, y.max() + 1
        every = np.arange(sample.num_frames)
        dense = np.stack([np.interp(every, ids[visible], boxes[visible, c])
                          if visible.any() else np.zeros(len(every))
                          for c in range(4)], 1)
        seen = ids[visible] if visible.any() else ids
        span = int(seen[0]), int(seen[-1]) + 1
        sample.pred_score = 0.9 if visible.any() else 0.05
        sample.pred_tube = Tube(span, every, dense,
                                num_frames=sample.num_frames, fps=sample.fps)
        sample.pred_spans = [(*span, sample.pred_score)]
        sample.pred_start = (ids == span[0]).astype(np.float32)
        sample.pred_end = (ids == span[1] - 1).astype(np.float32)
        sample.pred_attendance = visible.astype(np.float32)
        sample.pred_boxes = boxes
        return sample


@pytest.fixture(scope='session')
def frames():
    """The video, (30, 64, 96, 3), uint8."""
    out = np.zeros((30, 64, 96, 3), np.uint8)
    out[:, 40:56, 8:24, 1] = 230
    for i in range(10, 20):
        left = 16 + 4 * (i - 10)
        out[i, 8:24, left:left + 16, 0] = 230
    return out


@pytest.fixture(scope='session')
def video(tmp_path_factory, frames):
    """The video as a file, 10 frames per second, almost lossless."""
    path = tmp_path_factory.mktemp('videos') / 'squares.mp4'
    write_video(path, frames, 10, crf=1)
    return path


@pytest.fixture
def write_model(tmp_path):
    """Writes a config and its checkpoint, returns their paths."""

    def write(sampling="mode='uniform', num_frames=30", **checkpoint):
        config = tmp_path / 'colours.py'
        config.write_text(CONFIG.format(sampling=sampling))
        weights = tmp_path / 'colours.pth'
        state = ColourFinder().state_dict()
        torch.save(
            dict(state_dict=state, meta=dict(cfg=config.read_text()),
                 **checkpoint), weights)
        return config, weights

    return write
