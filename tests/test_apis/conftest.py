# Copyright (c) costa_mm authors. All rights reserved.
"""A model that finds colours, so that right answers are known exactly.

The video is black; a red square moves right in frames 10 to 19, a green one
stands still in all 30 frames.  The model returns, for the colour that the
sentence names, its box in every sampled frame and the frames that show it.
"""
import os
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel

from costa_mm.apis import STVGInferencer
from costa_mm.models.utils import DecodingConfig
from costa_mm.registry import MODELS
from costa_mm.structures import AttentionMaps, Tube, VisualFeatures
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
    """Finds pixels of a colour; counts what it was given."""

    def __init__(self):
        super().__init__(
            dict(type='costa_mm.STVGDataPreprocessor', mean=(0., ) * 3,
                 std=(1., ) * 3))
        self.test_cfg = DecodingConfig()
        self.threshold = torch.nn.Parameter(torch.tensor(100.))
        self.encoded = []  # videos of every call
        self.batches = []  # sentences of every call

    def forward(self, *args, **kwargs):
        """Never called: see :meth:`predict_encoded`."""
        raise NotImplementedError

    def encode_video(self, inputs):
        """Pixels are features enough."""
        self.encoded.append(len(inputs.frames))
        return (VisualFeatures(inputs.frames, inputs.frame_mask,
                               inputs.pixel_mask), )

    def predict_encoded(self, visual, data_samples):
        """Predict."""
        features, frame_mask, pixel_mask = visual[0][:3]
        self.batches.append(len(data_samples))
        rows = range(len(data_samples)) if len(features) > 1 else \
            [0] * len(data_samples)
        return [
            self._predict(features[row][~frame_mask[row]], sample)
            for row, sample in zip(rows, data_samples)
        ]

    def attention_maps(self, inputs, data_samples):
        """Looks at the green square, a cell being 8 x 8 pixels."""
        cells = (inputs.frames[0, :, 1] > self.threshold).float()
        cells = cells.unfold(1, 8, 8).unfold(2, 8, 8).mean((-1, -2))
        return [AttentionMaps(cells[None].repeat(2, 1, 1, 1), cells[None])]

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


def save_model(folder, sampling="mode='uniform', num_frames=30",
               **checkpoint):
    """Writes a config and its checkpoint, returns their paths."""
    config, weights = folder / 'colours.py', folder / 'colours.pth'
    config.write_text(CONFIG.format(sampling=sampling))
    state = ColourFinder().state_dict()
    torch.save(
        dict(state_dict=state, meta=dict(cfg=config.read_text()),
             **checkpoint), weights)
    return config, weights


@pytest.fixture
def write_model(tmp_path):
    """Writes a config and its checkpoint, returns their paths."""
    return partial(save_model, tmp_path)


@pytest.fixture(scope='session')
def colour_finder(tmp_path_factory):
    """An inferencer whose answers are known."""
    config, weights = save_model(tmp_path_factory.mktemp('colours'))
    return STVGInferencer(config, weights, 'cpu', show_progress=False)


@pytest.fixture(scope='module')
def browser():
    """A headless Chromium."""
    sync_api = pytest.importorskip(
        'playwright.sync_api', reason='no Playwright: pip install playwright')
    with sync_api.sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = shutil.which('chromium') or own
        if not os.path.exists(path):
            pytest.skip('no Chromium: apt-get install chromium, or '
                        'playwright install chromium')
        chromium = playwright.chromium.launch(
            executable_path=path, args=['--no-sandbox'])
        yield chromium
        chromium.close()
